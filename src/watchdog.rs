//! The time within which the device has to be finished with a piece of work. IRQL: at most DISPATCH.

use core::sync::atomic::{AtomicU64, Ordering};

use edu::ioctl::WatchdogStatistics;
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{DeviceInit, Error, Irql, TimeSpan, Timer, TimerRoutine, irql::AtMostDispatch};

use crate::{deadline::Deadline, device::EduDevice, statistics::Counter};

/// A queue's timer, and what it is for at the moment. It is started with every piece; its DPC, `R`, asks the device.
///
/// A DPC can be queued already when the timer is set anew, and would come too early for the new piece: so it looks at the time.
#[pin_data]
pub struct Watchdog<R> {
    #[pin]
    timer: Timer<R>,
    /// When the time is up: a [`Deadline`].
    due: AtomicU64,
    pub counters: WatchdogCounters,
}

/// What a queue's watchdog has seen.
#[derive(Default)]
pub struct WatchdogCounters {
    pub timeouts: Counter,
    pub retries: Counter,
    pub late: Counter,
}

impl<R: TimerRoutine<Device = EduDevice>> Watchdog<R> {
    /// At rest.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            timer <- Timer::new(device),
            due: AtomicU64::new(0),
            counters: WatchdogCounters::default(),
        }? Error)
    }

    /// The time begins now. Under the lock of the queue's state.
    pub fn start<L: AtMostDispatch>(&self, timeout: TimeSpan, irql: &mut Irql<L>) {
        self.due.store(Deadline::after(timeout).to_raw(), Ordering::Relaxed);
        self.timer.set(timeout, irql);
    }

    /// Nothing is waited for any more. Under the lock of the queue's state.
    pub fn stop<L: AtMostDispatch>(&self, irql: &mut Irql<L>) {
        self.timer.cancel(irql);
    }

    /// Whether the time is up; if not, the timer is set for the rest. Under the lock of the queue's state.
    pub fn is_due<L: AtMostDispatch>(&self, irql: &mut Irql<L>) -> bool {
        let rest = Deadline::from_raw(self.due.load(Ordering::Relaxed)).rest();
        if rest.is_zero() {
            return true;
        }
        self.timer.set(rest, irql);
        false
    }
}

impl WatchdogCounters {
    /// The counters.
    pub fn read(&self) -> WatchdogStatistics {
        WatchdogStatistics {
            timeouts: self.timeouts.read(),
            retries: self.retries.read(),
            late: self.late.read(),
        }
    }

    /// Counts from 0 again.
    pub fn reset(&self) {
        for counter in [&self.timeouts, &self.retries, &self.late] {
            counter.reset();
        }
    }
}
