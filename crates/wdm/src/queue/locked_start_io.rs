//! What a driver does with its StartIo queue while it holds the cancel spin lock.

use core::fmt;
use core::ptr::NonNull;

use wdk_sys::IRP;

use super::{
    QueuedIrp, Serial,
    start_io::{StartIoCore, serial_of},
};
use crate::{error::Result, irp::set_outcome, status::Status};

/// A [`StartIoQueue`](crate::StartIoQueue), and the driver's state, while the cancel spin lock is held.
pub struct LockedStartIoQueue<'q, S> {
    core: &'q StartIoCore,
    /// What the driver keeps under the lock.
    pub state: &'q mut S,
    /// The IRP that was taken, with its outcome.
    ended: Option<NonNull<IRP>>,
}

impl<'q, S> LockedStartIoQueue<'q, S> {
    /// # Safety
    /// The cancel spin lock must be held as long as the value is used, and `state` be what is kept under it. What [`into_ended`](Self::into_ended) returns
    /// must be completed.
    pub(super) const unsafe fn new(core: &'q StartIoCore, state: &'q mut S) -> Self {
        Self {
            core,
            state,
            ended: None,
        }
    }

    /// The IRP that was ended, if one was.
    pub(super) const fn into_ended(self) -> Option<NonNull<IRP>> {
        self.ended
    }

    /// The current IRP and its number, if there is one. It may be one that is just being cancelled.
    #[must_use]
    pub fn current(&self) -> Option<(QueuedIrp<'_>, Serial)> {
        let irp = self.core.current()?;
        // SAFETY: the IRP is the queue's, and the lock is held as long as the value is borrowed.
        Some((unsafe { QueuedIrp::new(irp) }, serial_of(irp)))
    }

    /// Ends the current IRP: when the lock is released the next one becomes current, and StartIo runs for it; then the IRP is completed with `result`. Nothing,
    /// if there is none, or if it is just being cancelled.
    pub fn end_current(&mut self, result: Result<()>) {
        let Some(irp) = self.core.current() else {
            return;
        };
        // SAFETY: the lock is held, and the IRP the current one.
        if unsafe { self.core.take_current(irp) } {
            // SAFETY: the IRP was just taken.
            unsafe { set_outcome(irp, Status::from(result)) };
            self.ended = Some(irp);
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for LockedStartIoQueue<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedStartIoQueue")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
