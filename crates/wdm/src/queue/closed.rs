//! Whether a queue takes IRPs still.

use core::sync::atomic::{AtomicI32, Ordering, fence};

use crate::status::Status;

/// Open; or closed, with the status that every IRP in the queue ends with from then on.
///
/// A queue inserts first, then [looks](Self::status); who closes it does so first, then empties the queue: one of the two sees the other.
#[derive(Debug)]
pub(super) struct Closed(AtomicI32);

/// No error: nothing that a queue is closed with.
const OPEN: i32 = 0;

impl Closed {
    pub(super) const fn open() -> Self {
        Self(AtomicI32::new(OPEN))
    }

    /// Closes the queue, for good, with an error; the status that it is closed with. A status that is none becomes `STATUS_DRIVER_INTERNAL_ERROR`.
    pub(super) fn close(&self, status: Status) -> Status {
        let status = if status.is_success() {
            Status::DRIVER_INTERNAL_ERROR
        } else {
            status
        };
        // A read-modify-write, which is a full barrier: the queue is emptied after it.
        self.0.swap(status.as_raw(), Ordering::SeqCst);
        status
    }

    /// The status that the queue was closed with.
    pub(super) fn status(&self) -> Option<Status> {
        fence(Ordering::SeqCst);
        let status = self.0.load(Ordering::SeqCst);
        (status != OPEN).then(|| Status::from_raw(status))
    }
}
