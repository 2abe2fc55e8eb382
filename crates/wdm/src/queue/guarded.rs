//! A queue, and what its driver keeps under the same lock.

use core::cell::UnsafeCell;

use crate::device::{KernelObject, Object};

/// A queue with the driver's state. Whoever holds the queue's lock may use the state.
///
/// # Invariants
/// The queue lies at the start.
#[repr(C)]
pub(super) struct Guarded<Q, S> {
    pub(super) queue: Q,
    pub(super) state: UnsafeCell<S>,
}

// SAFETY: the state is reached under the queue's lock only, by one processor at a time, hence `S: Send`.
unsafe impl<Q: Sync, S: Send> Sync for Guarded<Q, S> {}

impl<Q: KernelObject, S> KernelObject for Guarded<Q, S> {
    fn object(&self) -> Object {
        self.queue.object()
    }
}
