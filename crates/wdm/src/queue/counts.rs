//! How the IRPs ended that a queue has completed by itself.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

/// How many IRPs a queue has completed by itself: those cancelled in it, and those it was drained or closed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// With `STATUS_CANCELLED`.
    pub cancelled: u64,
    /// With any other status.
    pub failed: u64,
}

/// The counters behind [`QueueCounts`]. Each goes its own way: they say nothing about any other memory.
#[derive(Debug, Default)]
pub(super) struct Counters {
    cancelled: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(super) const fn new() -> Self {
        Self {
            cancelled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// To be called before the IRP is completed.
    pub(super) fn count(&self, error: Error) {
        let counter = if error == Error::CANCELLED {
            &self.cancelled
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> QueueCounts {
        QueueCounts {
            cancelled: self.cancelled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    pub(super) fn reset(&self) {
        self.cancelled.store(0, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
    }
}
