//! What the driver counts. Any IRQL.

use core::sync::atomic::{AtomicU64, Ordering};

use edu::{
    ioctl::{LatencyStatistics, QueueStatistics, Statistics},
    stamp::InterruptStamp,
};
use wdm::{QueueCounts, performance_time};

use crate::device::EduDevice;

/// A counter that says nothing about any other memory.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts from 0 again.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What is counted for the device as a whole.
#[derive(Default)]
pub struct DeviceCounters {
    pub interrupts_claimed: Counter,
    pub interrupts_not_ours: Counter,
    pub factorials_started: Counter,
    pub factorial_interrupts_spurious: Counter,
}

/// What is counted for a queue, beside how its requests ended, which [`wdm`]'s queue counts by itself.
#[derive(Default)]
pub struct QueueCounters {
    dpcs_run: Counter,
    pub dpcs_coalesced: Counter,
    pub latency: LatencyCounters,
}

/// How long interrupts waited for a queue's DPC. A DPC may run on two processors at a time.
#[derive(Default)]
pub struct LatencyCounters {
    last: AtomicU64,
    maximum: AtomicU64,
    sum: AtomicU64,
    count: Counter,
}

impl LatencyCounters {
    /// The DPC runs, for an interrupt that came at `stamp`.
    pub fn note(&self, stamp: InterruptStamp) {
        let latency = stamp.age(performance_time());
        self.last.store(latency, Ordering::Relaxed);
        if latency > self.maximum.load(Ordering::Relaxed) {
            self.maximum.fetch_max(latency, Ordering::Relaxed);
        }
        self.sum.fetch_add(latency, Ordering::Relaxed);
        self.count.count();
    }

    /// The counters.
    pub fn read(&self) -> LatencyStatistics {
        LatencyStatistics {
            last: self.last.load(Ordering::Relaxed),
            maximum: self.maximum.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
            count: self.count.read(),
        }
    }

    fn reset(&self) {
        for value in [&self.last, &self.maximum, &self.sum] {
            value.store(0, Ordering::Relaxed);
        }
        self.count.reset();
    }
}

impl QueueCounters {
    /// The queue's DPC runs, for an interrupt that came at `stamp`.
    pub fn dpc_runs(&self, stamp: InterruptStamp) {
        self.dpcs_run.count();
        self.latency.note(stamp);
    }

    /// The counters, with what the queue itself has counted.
    pub fn read(&self, queue: QueueCounts) -> QueueStatistics {
        QueueStatistics {
            dpcs_run: self.dpcs_run.read(),
            dpcs_coalesced: self.dpcs_coalesced.read(),
            completed: queue.completed,
            cancelled: queue.cancelled,
            failed: queue.failed,
        }
    }

    /// Counts from 0 again.
    pub fn reset(&self) {
        for counter in [&self.dpcs_run, &self.dpcs_coalesced] {
            counter.reset();
        }
        self.latency.reset();
    }
}

/// All counters of a device.
pub fn read(device: &EduDevice) -> Statistics {
    let counters = &device.counters;
    Statistics {
        interrupts_claimed: counters.interrupts_claimed.read(),
        interrupts_not_ours: counters.interrupts_not_ours.read(),
        factorials_started: counters.factorials_started.read(),
        factorial_interrupts_spurious: counters.factorial_interrupts_spurious.read(),
        raise: device.raise.statistics(),
        compute: device.compute.statistics(),
        transfer: device.transfer.statistics(),
        doorbell: device.doorbell.statistics(),
        raise_watchdog: device.raise.watchdog_statistics(),
        compute_watchdog: device.compute.watchdog_statistics(),
        transfer_watchdog: device.transfer.watchdog_statistics(),
        raise_latency: device.raise.counters.latency.read(),
        compute_latency: device.compute.counters.latency.read(),
        transfer_latency: device.transfer.counters.latency.read(),
        doorbell_latency: device.doorbell.counters.latency.read(),
    }
}

/// Sets all counters of a device to 0.
pub fn reset(device: &EduDevice) {
    let counters = &device.counters;
    counters.interrupts_claimed.reset();
    counters.interrupts_not_ours.reset();
    counters.factorials_started.reset();
    counters.factorial_interrupts_spurious.reset();
    device.raise.reset_statistics();
    device.compute.reset_statistics();
    device.transfer.reset_statistics();
    device.doorbell.reset_statistics();
}
