//! Deferred procedure calls.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::marker::{PhantomData, PhantomPinned};
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    KDPC,
    ntddk::{KeFlushQueuedDpcs, KeInitializeDpc, KeInsertQueueDpc},
};

use crate::{
    device::{DeviceInit, Extension, Header},
    error::Error,
    irql::{Dispatch, Irql, Passive},
};

/// What a [`CustomDpc`] does when it runs: a `KDEFERRED_ROUTINE`.
pub trait DpcRoutine: 'static {
    /// The device whose extension the DPC lies in.
    type Device: Send + Sync + 'static;

    /// Runs at `DISPATCH_LEVEL`, on any processor, and at the same time as every other routine of the device but itself: one DPC
    /// may run again on a second processor while it runs on a first, if it was queued meanwhile.
    fn run(device: &Self::Device, irql: &mut Irql<Dispatch>);
}

/// A DPC of the driver's own: a `KDPC` with its routine, the documented *CustomDpc*.
///
/// It lies in the device extension, so that it is there when it runs: removal takes it off its queue and waits until it has
/// returned, before the extension goes.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{DpcRoutine, Irql, irql::{Dispatch, UpToDispatch}};
///
/// /// Counts how often it runs.
/// enum Count {}
///
/// impl DpcRoutine for Count {
///     type Device = Device;
///
///     fn run(device: &Device, irql: &mut Irql<Dispatch>) {
///         device.requests.with(irql, |_irql, count| *count += 1);
///     }
/// }
///
/// /// Any callback may queue one; an ISR does nothing else.
/// fn soon(device: &Device, _irql: &mut Irql<UpToDispatch>) {
///     device.dpc.queue();
/// }
/// # fn main() {}
/// ```
///
/// See [DPC Objects and DPCs](https://learn.microsoft.com/windows-hardware/drivers/kernel/dpc-objects-and-dpcs).
pub struct CustomDpc<R> {
    raw: UnsafeCell<KDPC>,
    header: NonNull<Header>,
    routine: PhantomData<fn(R)>,
    _pinned: PhantomPinned,
}

// SAFETY: a KDPC is made to be queued by several processors at a time; the DDI synchronises. The header is `Sync`.
unsafe impl<R> Sync for CustomDpc<R> {}
// SAFETY: it belongs to no thread.
unsafe impl<R> Send for CustomDpc<R> {}

impl<R: DpcRoutine> CustomDpc<R> {
    /// A DPC that is not queued. DDI: `KeInitializeDpc`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension.
    pub fn new(device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        let unqueued = Self {
            raw: UnsafeCell::new(KDPC::default()),
            header: device.header(),
            routine: PhantomData,
            _pinned: PhantomPinned,
        };
        device.place(unqueued, move |this| {
            let context = device.extension().as_ptr().cast();
            // SAFETY: the memory is nonpaged and stays in place: it lies in the extension. The context is the extension, which
            // outlives every run of the routine.
            unsafe { KeInitializeDpc(this.raw.get(), Some(trampoline::<R>), context) };
            Ok(())
        })
    }

    /// Queues it: it runs soon, on this processor. `false` if it is queued already (it runs once then), or if the device is being
    /// torn down. Any IRQL. DDI: `KeInsertQueueDpc`.
    ///
    /// What the routine is to see must be written before: a DPC that is queued already may just be about to look.
    pub fn queue(&self) -> bool {
        // SAFETY: the header outlives everything in the extension.
        if !unsafe { self.header.as_ref() }.is_open() {
            return false;
        }
        // SAFETY: the DPC is initialised, and stays so until removal has taken it off its queue. The arguments are not used.
        let inserted = unsafe { KeInsertQueueDpc(self.raw.get(), core::ptr::null_mut(), core::ptr::null_mut()) };
        inserted != 0
    }
}

/// Waits until every DPC that is queued now, on any processor, has run. IRQL: `PASSIVE_LEVEL`. DDI: `KeFlushQueuedDpcs`.
pub fn flush_queued_dpcs(_irql: &mut Irql<Passive>) {
    // SAFETY: PASSIVE_LEVEL, as the token proves.
    unsafe { KeFlushQueuedDpcs() };
}

/// # Safety
/// To be called by the kernel only, for the DPC of a [`CustomDpc`] or of a [`Timer`](crate::Timer).
pub(crate) unsafe extern "C" fn trampoline<R: DpcRoutine>(
    _dpc: *mut KDPC,
    context: *mut c_void,
    _argument1: *mut c_void,
    _argument2: *mut c_void,
) {
    let Some(extension) = NonNull::new(context.cast::<Extension<R::Device>>()) else {
        return;
    };
    // SAFETY: the DPC is queued only after AddDevice has initialised the extension, and teardown waits for it.
    let device = unsafe { Extension::data(extension) };
    // SAFETY: the kernel runs a deferred routine at DISPATCH_LEVEL.
    let mut irql = unsafe { Irql::<Dispatch>::assume() };
    R::run(device, &mut irql);
}

impl<R> fmt::Debug for CustomDpc<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomDpc").finish_non_exhaustive()
    }
}
