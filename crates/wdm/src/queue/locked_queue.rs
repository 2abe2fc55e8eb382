//! What a driver does with a cancel-safe queue while it holds the queue's lock.

use core::fmt;

use super::csq::Queue;
use crate::{error::Result, irp::Irp};

/// A [`CancelSafeQueue`](crate::CancelSafeQueue), and the driver's state, while the queue's lock is held.
///
/// One IRP of the queue can be the *current* one: the one that the driver works on. It stays in the queue, where it can be cancelled, but not while the lock
/// is held. If it is cancelled there is no current IRP afterwards; what the device is doing for it is for the driver to remember.
pub struct LockedQueue<'q, S> {
    queue: &'q Queue,
    /// What the driver keeps under the lock.
    pub state: &'q mut S,
}

impl<'q, S> LockedQueue<'q, S> {
    /// # Safety
    /// The queue's lock must be held as long as the value is used, and `state` be what is kept under it. When the lock is released,
    /// `Queue::complete_ended` must be called.
    pub(super) const unsafe fn new(queue: &'q Queue, state: &'q mut S) -> Self {
        Self { queue, state }
    }

    /// Makes the oldest IRP of the queue the current one, unless there is one; whether there is one now. An IRP that is just being cancelled is passed over, the
    /// current one too.
    pub fn begin_next(&mut self) -> bool {
        // SAFETY: the lock is held.
        unsafe { self.queue.begin_next() }
    }

    /// Whether there is a current IRP. It may be one that is just being cancelled.
    #[must_use]
    pub fn has_current(&self) -> bool {
        // SAFETY: the lock is held.
        unsafe { self.queue.current() }.is_some()
    }

    /// Calls `f` with the current IRP, and the state; `None` if there is none. It can be read and written, and stays the queue's.
    pub fn with_current<R>(&mut self, f: impl for<'i> FnOnce(&mut Irp<'i>, &mut S) -> R) -> Option<R> {
        // SAFETY: the lock is held.
        let irp = unsafe { self.queue.current() }?;
        // SAFETY: the lock is held, and the IRP is in the queue.
        Some(unsafe { self.queue.lend(irp, |irp| f(irp, self.state)) })
    }

    /// Ends the current IRP: it is completed with `result` as soon as the lock is released, unless it is cancelled before. There is no current IRP from
    /// now on. Nothing, if there is none.
    pub fn end_current(&mut self, result: Result<()>) {
        // SAFETY: the lock is held, and `complete_ended` is called after it is released, as promised to `new`.
        unsafe { self.queue.end_current(result) };
    }

    /// Ends every IRP of the queue that `f` returns an outcome for, as [`end_current`](Self::end_current) does. `f` is called once for each IRP, in the order
    /// of arrival. The lock is held for as long as that takes.
    pub fn end_if(&mut self, mut f: impl for<'i> FnMut(&mut Irp<'i>, &mut S) -> Option<Result<()>>) {
        let outcome = |irp| {
            // SAFETY: the lock is held, and the IRP is in the queue.
            unsafe { self.queue.lend(irp, |irp| f(irp, self.state)) }
        };
        // SAFETY: as in `end_current`.
        unsafe { self.queue.end_if(outcome) };
    }
}

impl<S: fmt::Debug> fmt::Debug for LockedQueue<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedQueue")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
