//! An IRP that is out of its cancel-safe queue for a while.

use core::fmt;
use core::ops::{Deref, DerefMut};

use super::CancelSafeQueue;
use crate::{
    irp::{Disposed, Irp},
    irql::{Irql, NoLockHeld},
};

/// An IRP that [`CancelSafeQueue::take_next`] has taken out, and that may come back.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{Irql, irql::Dispatch};
///
/// /// In the DPC, when the device has finished a piece: the request has another one, or is at its end.
/// fn piece_is_done(device: &Device, irql: &mut Irql<Dispatch>) {
///     device.queue.take_begun(irql, |mut irp, irql| {
///         let [left, _] = irp.note();
///         if left == 0 {
///             return irp.into_irp().complete(Ok(()), irql);
///         }
///         irp.set_note([left.saturating_sub(1), 0]);
///         // If its handle was closed meanwhile it is completed here.
///         irp.put_back(irql)
///     });
/// }
/// # fn main() {}
/// ```
pub struct TakenIrp<'i> {
    irp: Irp<'i>,
    queue: &'i CancelSafeQueue,
}

impl<'i> TakenIrp<'i> {
    /// # Safety
    /// The IRP must have been in `queue`.
    pub(super) const unsafe fn new(irp: Irp<'i>, queue: &'i CancelSafeQueue) -> Self {
        Self { irp, queue }
    }

    /// Puts it back, in front of the IRPs that are not begun. It is completed with `STATUS_CANCELLED` if it was cancelled while it was out, or its
    /// [handle was closed](crate::irp#the-end-of-a-handle); and, as by [`CancelSafeQueue::insert`], with the error that closed the queue.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqInsertIrpEx`.
    pub fn put_back<L: NoLockHeld>(self, irql: &mut Irql<L>) -> Disposed<'i> {
        // SAFETY: the IRP is of the queue's device, since it was in the queue.
        unsafe { self.queue.put(self.irp, true, irql) }
    }

    /// It does not come back: it is the driver's for good.
    #[must_use]
    pub fn into_irp(self) -> Irp<'i> {
        self.irp
    }
}

impl<'i> Deref for TakenIrp<'i> {
    type Target = Irp<'i>;

    fn deref(&self) -> &Irp<'i> {
        &self.irp
    }
}

impl<'i> DerefMut for TakenIrp<'i> {
    fn deref_mut(&mut self) -> &mut Irp<'i> {
        // It cannot be exchanged for another IRP: no other has its brand.
        &mut self.irp
    }
}

impl fmt::Debug for TakenIrp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakenIrp").finish_non_exhaustive()
    }
}
