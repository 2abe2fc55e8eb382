//! Whether a queue takes IRPs still.

use core::sync::atomic::{AtomicI32, Ordering, fence};

use crate::error::Error;

/// Open; or closed, with the error that every IRP in the queue ends with from then on.
///
/// A queue inserts first, then [looks](Self::error); who closes it does so first, then empties the queue: one of the two sees the other.
#[derive(Debug)]
pub(super) struct Closed(AtomicI32);

/// No error: nothing that a queue is closed with.
const OPEN: i32 = 0;

impl Closed {
    pub(super) const fn open() -> Self {
        Self(AtomicI32::new(OPEN))
    }

    /// Closes the queue, for good.
    pub(super) fn close(&self, error: Error) {
        // A read-modify-write, which is a full barrier: the queue is emptied after it.
        self.0.swap(error.as_raw(), Ordering::SeqCst);
    }

    /// The error that the queue was closed with.
    pub(super) fn error(&self) -> Option<Error> {
        fence(Ordering::SeqCst);
        Error::from_raw(self.0.load(Ordering::SeqCst))
    }
}
