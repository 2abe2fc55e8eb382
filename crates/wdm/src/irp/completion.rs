//! Completion routines: what becomes of an IRP when the lower driver has completed it.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wdk_sys::{DEVICE_OBJECT, IRP, NTSTATUS, PVOID, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS};

use super::{Disposed, ReturnedIrp, disposed::Brand};
use crate::{
    device::{Extension, Header, Moment},
    irql::{Irql, UpToDispatch},
};

/// What a driver does when the lower driver has completed an IRP that [`Irp::forward_with`](super::Irp::forward_with) gave it: an `IO_COMPLETION_ROUTINE`.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{Completed, CompletionRoutine, Disposed, Error, Irp, Irql, ReturnedIrp, irql::UpToDispatch};
///
/// /// Sends a read or write down once more that the lower driver had no time for.
/// enum Retry {}
///
/// impl CompletionRoutine for Retry {
///     type Device = Device;
///
///     fn completed<'i>(_device: &Device, irp: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i> {
///         if irp.io_status().status == Error::IO_TIMEOUT.into() && !irp.is_cancelled() {
///             irp.into_irp().forward(irql).into()
///         } else {
///             irp.continue_completion()
///         }
///     }
/// }
///
/// /// In the dispatch routine.
/// fn pass_on<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
///     irp.forward_with::<Retry, _>(irql)
/// }
/// # fn main() {}
/// ```
///
/// See [Using IRP Completion Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-irp-completion-routines).
pub trait CompletionRoutine: 'static {
    /// The device that the IRP was sent to.
    type Device: Send + Sync + 'static;

    /// Runs at the IRQL of whoever completed the IRP, at most `DISPATCH_LEVEL`, in any thread; whether the lower driver succeeded, failed or
    /// was cancelled. [`ReturnedIrp::io_status`] tells the outcome.
    ///
    /// The IRP is this driver's again. Either it goes on to the drivers above ([`ReturnedIrp::continue_completion`]), or it is kept, and what became of
    /// it instead is the answer: completed, queued or forwarded again, as in a dispatch routine (`disposed.into()`).
    fn completed<'i>(device: &Self::Device, irp: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Completed<'i>;
}

/// Proof of what a completion routine has done with the IRP that has the brand `'i`, and what it returns.
#[must_use = "a completion routine returns it to show what became of its IRP"]
#[derive(Debug)]
pub struct Completed<'i> {
    goes_on: bool,
    brand: Brand<'i>,
}

impl Completed<'_> {
    /// To be made where the IRP with this brand is left to the I/O manager, which goes on with its completion.
    pub(super) const fn goes_on() -> Self {
        Self {
            goes_on: true,
            brand: PhantomData,
        }
    }
}

impl<'i> From<Disposed<'i>> for Completed<'i> {
    /// The IRP was kept, `STATUS_MORE_PROCESSING_REQUIRED`, and then disposed of.
    fn from(_disposed: Disposed<'i>) -> Self {
        Self {
            goes_on: false,
            brand: PhantomData,
        }
    }
}

/// `STATUS_CONTINUE_COMPLETION`: any status but `STATUS_MORE_PROCESSING_REQUIRED` says so.
const CONTINUE_COMPLETION: NTSTATUS = STATUS_SUCCESS;

/// The tag that a completion routine has the remove lock with, for itself: the IRP, and the lock taken for it, may be gone while the routine runs.
pub(super) fn routine_tag(header: NonNull<Header>) -> PVOID {
    header.as_ptr().cast()
}

/// What a completion routine is told of its IRP: when that came to the device. Which device it is the I/O manager tells.
pub(super) const fn context(arrived: Moment) -> *mut c_void {
    #[expect(clippy::cast_possible_truncation, reason = "an address has as many bits")]
    core::ptr::without_provenance_mut(arrived.as_raw() as usize)
}

/// The inverse of [`context`].
fn arrived_in(context: *mut c_void) -> Moment {
    Moment::from_raw(context.addr() as u64)
}

/// # Safety
/// To be called by the I/O manager only, for an IRP that was marked pending and sent with this routine and with [`context`] from a device with an
/// `Extension<R::Device>`; the remove lock must have been acquired for the IRP and with [`routine_tag`].
pub(super) unsafe extern "C" fn trampoline<R: CompletionRoutine>(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    // SAFETY: the I/O manager calls with the device object of the stack location that the IRP is back in: this driver's, which the remove lock keeps.
    let extension = unsafe { Extension::<R::Device>::of(device) };
    let (Some(extension), Some(raw)) = (extension, NonNull::new(irp)) else {
        return CONTINUE_COMPLETION;
    };
    let header = extension.cast::<Header>();
    // SAFETY: the remove lock keeps the extension.
    let device = unsafe { Extension::data(extension) };
    // SAFETY: the I/O manager calls completion routines at DISPATCH_LEVEL or below.
    let mut irql = unsafe { Irql::<UpToDispatch>::assume() };
    // SAFETY: the IRP is at this driver again, with the remove lock acquired for it; the brand is that of this call.
    let irp = unsafe { ReturnedIrp::new(raw, header, arrived_in(context)) };
    let completed = R::completed(device, irp, &mut irql);

    // SAFETY: the routine's own hold of the lock keeps the header until it is released.
    let remove_lock = unsafe { &(*header.as_ptr()).remove_lock };
    let status = if completed.goes_on {
        // SAFETY: acquired for the IRP, whose address serves as a tag only; nobody else releases it, since the IRP goes on without its owner.
        unsafe { remove_lock.release(raw.as_ptr().cast()) };
        CONTINUE_COMPLETION
    } else {
        STATUS_MORE_PROCESSING_REQUIRED
    };
    // SAFETY: acquired for this call. Nothing of the device is used below, and the I/O manager keeps the image until this returns.
    unsafe { remove_lock.release(routine_tag(header)) };
    status
}
