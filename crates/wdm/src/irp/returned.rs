//! An IRP that has come back from the lower driver.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;

use wdk_sys::{IRP, NT_ERROR};

use super::{
    Completed, Disposed, Irp,
    raw::{clear_note, complete_unchanged, information, status},
};
use crate::{
    device::{Header, Moment},
    irql::{Irql, NoLockHeld},
    status::Status,
};

/// How a request ended: its `IO_STATUS_BLOCK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoStatus {
    /// `Status`.
    pub status: Status,
    /// `Information`: for most requests, how many bytes were transferred.
    pub information: usize,
}

/// An IRP that the lower driver has completed, in a [`CompletionRoutine`](super::CompletionRoutine): this driver is responsible for it again.
///
/// It alone has an outcome, and can go on with it. It can be looked at as an [`Irp`]; whoever wants to do anything else with it
/// [makes it one](Self::into_irp).
pub struct ReturnedIrp<'i>(Irp<'i>);

impl<'i> ReturnedIrp<'i> {
    /// Takes responsibility for `raw` again: what the lower driver has transferred is so. Nothing, if it failed.
    ///
    /// # Safety
    /// As [`Irp::new`], for an IRP that the lower driver has completed.
    pub(super) unsafe fn new(raw: NonNull<IRP>, header: NonNull<Header>, arrived: Moment) -> Self {
        // SAFETY: promised by the caller.
        unsafe { clear_note(raw) };
        // SAFETY: promised by the caller; the lower driver has set `Information`.
        let mut irp = unsafe { Irp::from_queue(raw, header, arrived) };
        // SAFETY: promised by the caller.
        if NT_ERROR(unsafe { status(raw) }.as_raw()) {
            irp.information = 0;
        }
        Self(irp)
    }

    /// With what the lower driver has completed the request.
    #[must_use]
    pub fn io_status(&self) -> IoStatus {
        // SAFETY: the IRP is owned.
        let status = unsafe { status(self.0.raw) };
        // SAFETY: as above.
        let information = unsafe { information(self.0.raw) };
        IoStatus { status, information }
    }

    /// Lets the completion go on to the drivers above. What the lower driver answered stays as it is.
    pub fn continue_completion(self) -> Completed<'i> {
        let _ = ManuallyDrop::new(self.0);
        Completed::goes_on()
    }

    /// Completes the request as the lower driver has: with its status, an informational one (`STATUS_REPARSE`) as well, and its output. For a completion
    /// routine that wants to act after the completion; else [`continue_completion`](Self::continue_completion) does.
    ///
    /// IRQL and DDIs: as [`Irp::complete`].
    pub fn complete_unchanged<L: NoLockHeld>(self, _irql: &mut Irql<L>) -> Disposed<'i> {
        let this = ManuallyDrop::new(self.0);
        // SAFETY: the IRP is owned and given up here, with the status block that the lower driver has left in it; the token proves the IRQL and
        // that no lock is held.
        Disposed::new(unsafe { complete_unchanged(this.raw, this.header) })
    }

    /// The request is worked on once more: completed with another status, queued, or sent down again. What the lower driver has transferred counts
    /// as [transferred](Irp::transferred) by this one.
    ///
    /// Its handle may have been closed while it was below: [what a queue makes of it then](super#the-end-of-a-handle).
    ///
    /// The lower driver's status is not part of an `Irp`. Where it is to be the answer after all, it is asked for first, and stays with the request as
    /// a [note](Irp::set_note):
    ///
    /// ```no_run
    /// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
    /// # use device::Device;
    /// use wdm::{Disposed, Irp, Irql, ReturnedIrp, Status, irql::{Dispatch, UpToDispatch}};
    ///
    /// /// In the completion routine: a DPC is to complete it.
    /// fn keep<'i>(device: &Device, returned: ReturnedIrp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    ///     let status = returned.io_status().status.as_raw().cast_unsigned();
    ///     let mut irp = returned.into_irp();
    ///     irp.set_note([status.into(), 0]);
    ///     device.queue.insert(irp, irql)
    /// }
    ///
    /// /// In the DPC: with the lower driver's success or failure.
    /// fn finish<'i>(irp: Irp<'i>, irql: &mut Irql<Dispatch>) -> Disposed<'i> {
    ///     let [status, _] = irp.note();
    ///     let status = Status::from_raw(u32::try_from(status).unwrap_or(0).cast_signed());
    ///     irp.complete(status.into_result(), irql)
    /// }
    /// # fn main() {}
    /// ```
    #[must_use = "an IRP that is dropped is completed with an error"]
    pub fn into_irp(self) -> Irp<'i> {
        self.0
    }
}

impl<'i> Deref for ReturnedIrp<'i> {
    type Target = Irp<'i>;

    fn deref(&self) -> &Irp<'i> {
        &self.0
    }
}

impl fmt::Debug for ReturnedIrp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReturnedIrp").field(&self.io_status()).finish()
    }
}
