//! The *CustomDpc*.

use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;

use pinned_init::PinInit;
use wdk_sys::KDPC;

use super::{
    DpcArgument, DpcSettings, check, from_raw, into_raw,
    kdpc::{Kdpc, Kind},
};
use crate::{
    device::{DeviceInit, Extension, Handle},
    error::Error,
    irql::{Dispatch, Irql},
};

/// What a [`CustomDpc`] does when it runs: a `KDEFERRED_ROUTINE`.
pub trait DpcRoutine: 'static {
    /// The device whose extension the DPC lies in: the `DeferredContext`.
    type Device: Send + Sync + 'static;
    /// What [`queue`](CustomDpc::queue) hands over; `()` for nothing.
    type SystemArgument1: DpcArgument;
    /// What it hands over beside that.
    type SystemArgument2: DpcArgument;

    /// Runs at `DISPATCH_LEVEL`, on any processor, and at the same time as every other routine of the device, itself included: one DPC
    /// may run again on a second processor while it runs on a first, if it was queued meanwhile.
    ///
    /// The arguments are those of the call of [`queue`](CustomDpc::queue) that returned `true`.
    fn run(
        device: &Self::Device,
        argument1: Self::SystemArgument1,
        argument2: Self::SystemArgument2,
        irql: &mut Irql<Dispatch>,
    );
}

/// A DPC of the driver's own: a `KDPC` with its routine, the documented *CustomDpc*. See [which type of DPC](crate::dpc) to use.
///
/// Removal waits until it has returned, before the device goes.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{CustomDpc, DpcRoutine, Irql, irql::{Dirql, Dispatch}, performance_time};
///
/// /// Finishes the oldest request, and notes how long the interrupt had to wait for that.
/// enum Finish {}
///
/// impl DpcRoutine for Finish {
///     type Device = Device;
///     /// When the interrupt came.
///     type SystemArgument1 = u64;
///     type SystemArgument2 = ();
///
///     fn run(device: &Device, since: u64, (): (), irql: &mut Irql<Dispatch>) {
///         let waited = performance_time().saturating_sub(since);
///         device.requests.with(irql, |_, longest| *longest = waited.max(*longest));
///         device.queue.remove_next(irql, |irp, irql| irp.complete(Ok(()), irql));
///     }
/// }
///
/// /// In the ISR. If it is queued already, the time of the first interrupt counts.
/// fn interrupted(dpc: &CustomDpc<Finish>, _irql: &mut Irql<Dirql>) {
///     dpc.queue(performance_time(), ());
/// }
/// # fn main() {}
/// ```
///
/// See [DPC Objects and DPCs](https://learn.microsoft.com/windows-hardware/drivers/kernel/dpc-objects-and-dpcs).
pub struct CustomDpc<R> {
    dpc: Handle<Kdpc>,
    routine: PhantomData<fn(R)>,
}

impl<R: DpcRoutine> CustomDpc<R> {
    /// A DPC that is not queued. DDI: `KeInitializeDpc`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        Self::with(DpcSettings::new(), device)
    }

    /// A DPC that is not queued, of another importance, or for one processor. DDIs: `KeInitializeDpc`, `KeSetImportanceDpc`,
    /// `KeSetTargetProcessorDpcEx`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension, and for a processor that is not there; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn with(settings: DpcSettings, device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        let wrap = |dpc| Self {
            dpc,
            routine: PhantomData,
        };
        device.object(Kdpc::new(Kind::Ordinary, device.header()), wrap, move |dpc, _irql| {
            // SAFETY: the DPC stays where it is, and is used for the first time. The routine is one for its device.
            unsafe { dpc.initialize(trampoline::<R>, device.extension(), settings) }
        })
    }

    /// Queues it: it runs soon, on this processor or on that which is [set](DpcSettings::processor). `false` if it is queued already, and
    /// runs once then, with the arguments of the first call; or if the device is being torn down. Any IRQL. DDI: `KeInsertQueueDpc`.
    ///
    /// What the routine is to see in memory must be written before: a DPC that is queued already may just be about to look.
    pub fn queue(&self, argument1: R::SystemArgument1, argument2: R::SystemArgument2) -> bool {
        const { check::<R::SystemArgument1>() };
        const { check::<R::SystemArgument2>() };
        self.dpc.insert(into_raw(argument1), into_raw(argument2))
    }

    /// Takes it off its queue: `true` if it was there, and does not run for that. It may be running all the same, for the time before.
    /// Any IRQL. DDI: `KeRemoveQueueDpc`.
    #[expect(
        clippy::must_use_candidate,
        reason = "it is off its queue either way, which is what most callers want"
    )]
    pub fn remove(&self) -> bool {
        self.dpc.remove()
    }
}

/// # Safety
/// To be called by the kernel only, for the DPC of a [`CustomDpc<R>`].
unsafe extern "C" fn trampoline<R: DpcRoutine>(
    _dpc: *mut KDPC,
    context: *mut c_void,
    argument1: *mut c_void,
    argument2: *mut c_void,
) {
    // SAFETY: the DPC is queued only after AddDevice has initialised the extension, which is its context, and teardown waits for it.
    let Some(device) = (unsafe { Extension::data_at(context) }) else {
        return;
    };
    // SAFETY: the kernel runs a deferred routine at DISPATCH_LEVEL.
    let mut irql = unsafe { Irql::<Dispatch>::assume() };
    R::run(device, from_raw(argument1), from_raw(argument2), &mut irql);
}

impl<R> fmt::Debug for CustomDpc<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomDpc").finish_non_exhaustive()
    }
}
