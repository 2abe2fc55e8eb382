//! The `CustomThreadedDpc`.

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
    irql::{Irql, Threaded},
};

/// What a [`ThreadedDpc`] does when it runs: a `KDEFERRED_ROUTINE`.
pub trait ThreadedDpcRoutine: 'static {
    /// The device whose extension the DPC lies in: the `DeferredContext`.
    type Device: Send + Sync + 'static;
    /// What [`queue`](ThreadedDpc::queue) hands over; `()` for nothing.
    type SystemArgument1: DpcArgument;
    /// What it hands over beside that.
    type SystemArgument2: DpcArgument;

    /// Runs at `PASSIVE_LEVEL` in a thread of the system's, or, where an administrator has threaded DPCs disabled, at `DISPATCH_LEVEL` as every other
    /// DPC. Whatever the level, it must not wait: so says the documentation, and so does the token.
    ///
    /// Threads do not interrupt it, other DPCs do.
    fn run(
        device: &Self::Device,
        argument1: Self::SystemArgument1,
        argument2: Self::SystemArgument2,
        irql: &mut Irql<Threaded>,
    );
}

/// A DPC that runs in a thread, where that is not disabled: the documented `CustomThreadedDpc`. See [which type of DPC](crate::dpc) to use.
///
/// It lies in the device extension. Removal takes it off its queue; if it runs, that waits until it has returned.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{Irql, ThreadedDpc, ThreadedDpcRoutine, irql::{Dispatch, Threaded}};
///
/// /// Work that takes longer than a DPC should: other DPCs run meanwhile.
/// enum Check {}
///
/// impl ThreadedDpcRoutine for Check {
///     type Device = Device;
///     type SystemArgument1 = u32;
///     type SystemArgument2 = ();
///
///     fn run(device: &Device, rounds: u32, (): (), irql: &mut Irql<Threaded>) {
///         for _ in 0..rounds {
///             device.requests.with(irql, |_, count| *count = count.rotate_left(1));
///         }
///     }
/// }
///
/// /// In another DPC.
/// fn soon(check: &ThreadedDpc<Check>, _irql: &mut Irql<Dispatch>) {
///     check.queue(1000, ());
/// }
/// # fn main() {}
/// ```
///
/// See [Introduction to Threaded DPCs](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-threaded-dpcs).
pub struct ThreadedDpc<R> {
    dpc: Handle<Kdpc>,
    routine: PhantomData<fn(R)>,
}

impl<R: ThreadedDpcRoutine> ThreadedDpc<R> {
    /// A DPC that is not queued. DDI: `KeInitializeThreadedDpc`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        Self::with(DpcSettings::new(), device)
    }

    /// A DPC that is not queued, of another importance, or for one processor. DDIs: `KeInitializeThreadedDpc`, `KeSetImportanceDpc`,
    /// `KeSetTargetProcessorDpcEx`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension, and for a processor that is not there; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn with(settings: DpcSettings, device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        let wrap = |dpc| Self {
            dpc,
            routine: PhantomData,
        };
        device.object(Kdpc::new(Kind::Threaded, device.header()), wrap, move |dpc, _irql| {
            // SAFETY: the DPC stays where it is, and is used for the first time. The routine is one for its device.
            unsafe { dpc.initialize(trampoline::<R>, device.extension(), settings) }
        })
    }

    /// As [`CustomDpc::queue`](crate::CustomDpc::queue).
    pub fn queue(&self, argument1: R::SystemArgument1, argument2: R::SystemArgument2) -> bool {
        const { check::<R::SystemArgument1>() };
        const { check::<R::SystemArgument2>() };
        self.dpc.insert(into_raw(argument1), into_raw(argument2))
    }

    /// As [`CustomDpc::remove`](crate::CustomDpc::remove).
    #[expect(
        clippy::must_use_candidate,
        reason = "it is off its queue either way, which is what most callers want"
    )]
    pub fn remove(&self) -> bool {
        self.dpc.remove()
    }
}

/// # Safety
/// To be called by the kernel only, for the DPC of a [`ThreadedDpc<R>`].
unsafe extern "C" fn trampoline<R: ThreadedDpcRoutine>(
    _dpc: *mut KDPC,
    context: *mut c_void,
    argument1: *mut c_void,
    argument2: *mut c_void,
) {
    // SAFETY: the DPC is queued only after AddDevice has initialised the extension, which is its context, and teardown waits for it.
    let Some(device) = (unsafe { Extension::data_at(context) }) else {
        return;
    };
    // SAFETY: the kernel runs the routine at PASSIVE_LEVEL or DISPATCH_LEVEL, and no lock is held.
    let mut irql = unsafe { Irql::<Threaded>::assume() };
    R::run(device, from_raw(argument1), from_raw(argument2), &mut irql);
}

impl<R> fmt::Debug for ThreadedDpc<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadedDpc").finish_non_exhaustive()
    }
}
