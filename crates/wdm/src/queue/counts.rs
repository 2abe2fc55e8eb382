//! How the IRPs ended that a queue has completed by itself.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// How many IRPs a queue has completed by itself: those [ended](crate::LockedQueue::end_current) in it, those cancelled in it, and those that it was drained
/// or closed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// With `STATUS_SUCCESS`.
    pub completed: u64,
    /// With `STATUS_CANCELLED`.
    pub cancelled: u64,
    /// With any other status.
    pub failed: u64,
}

/// The counters behind [`QueueCounts`]. Each stands for itself: it says nothing about other memory.
#[derive(Debug, Default)]
pub(super) struct Counters {
    completed: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(super) const fn new() -> Self {
        Self {
            completed: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// To be called before the IRP is completed.
    pub(super) fn count(&self, result: Result<()>) {
        let counter = match result {
            Ok(()) => &self.completed,
            Err(Error::CANCELLED) => &self.cancelled,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> QueueCounts {
        QueueCounts {
            completed: self.completed.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    pub(super) fn reset(&self) {
        for counter in [&self.completed, &self.cancelled, &self.failed] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
