//! The queue itself: what the current request has raised. IRQL: at most DISPATCH.

use edu::{
    ioctl::{QueueStatistics, RaiseInput, WatchdogStatistics},
    registers::InterruptStatus,
    stamp::InterruptStamp,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    DeviceInit, Disposed, DpcForIsr, Error, FileObject, Irp, Irql, LockedStartIoQueue, Serial, StartIoQueue,
    irql::{Dirql, Dispatch, NoLockHeld, Passive, SpinLockHeld},
};

use super::{dpc_for_isr::RaiseDpcForIsr, start_io::RaiseStartIo, watchdog::RaiseWatchdog};
use crate::{device::EduDevice, statistics::QueueCounters, watchdog::Watchdog};

/// Pending requests to raise interrupt causes. The device raises at once, so a request is finished when its causes have arrived.
#[pin_data]
pub struct RaiseQueue {
    #[pin]
    queue: StartIoQueue<RaiseStartIo>,
    #[pin]
    dpc_for_isr: DpcForIsr<RaiseDpcForIsr>,
    #[pin]
    watchdog: Watchdog<RaiseWatchdog>,
    pub counters: QueueCounters,
}

/// What is kept under the lock of the queue.
pub struct State {
    /// The current request is parked: the device is stopped.
    held: bool,
    started: Option<Started>,
}

/// A request that the device was told of. It may have been cancelled since.
#[derive(Clone, Copy)]
struct Started {
    serial: Serial,
    causes: InterruptStatus,
    /// The number of the last interrupt before.
    since: u64,
    /// How often the time for it was up.
    timeouts: u32,
}

/// The queue while its lock is held.
type Locked<'q> = LockedStartIoQueue<'q, State>;

impl Started {
    /// Whether every cause has come since.
    fn has_arrived(&self, device: &EduDevice) -> bool {
        device.arrivals.have_all_come(self.causes, self.since)
    }
}

impl RaiseQueue {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        let state = State {
            held: true,
            started: None,
        };
        try_pin_init!(Self {
            queue <- StartIoQueue::new(state, device),
            dpc_for_isr <- DpcForIsr::new(device),
            watchdog <- Watchdog::new(device),
            counters: QueueCounters::default(),
        }? Error)
    }

    /// Puts a request at the end of the queue.
    #[inline(never)]
    pub fn submit<'i, L: NoLockHeld>(&self, irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
        self.queue.insert(irp, irql)
    }

    /// What StartIo does: raises what the current request asks for, unless that was done, or the queue is held.
    pub fn start_current(&self, queue: &mut Locked<'_>, device: &EduDevice, irql: &mut Irql<SpinLockHeld>) {
        let Some((irp, serial)) = queue.current() else {
            return;
        };
        let done = queue.state.started.is_some_and(|started| started.serial == serial);
        if queue.state.held || done {
            return;
        }
        let RaiseInput { causes } = match irp.read_input() {
            Ok(input) => input,
            Err(error) => return queue.end_current(Err(error)),
        };
        let causes = InterruptStatus::from_bits_retain(causes);
        let since = device.arrivals.sequence();
        // Under the lock: the DpcForIsr may look for what was started before the write has returned.
        if device.registers.with(|registers| registers.raise(causes)).is_some() {
            queue.state.started = Some(Started {
                serial,
                causes,
                since,
                timeouts: 0,
            });
            self.watchdog.start(device.parameters.timeout(), irql);
        }
    }

    /// What the DpcForIsr does: ends the current request, if all that it raised has arrived. The next one is started by that.
    ///
    /// The current request is looked at, and not the one that was current when the ISR asked for the DPC: if that one was cancelled meanwhile, the interrupt of
    /// the current one did not ask again, because the DPC was asked for already.
    pub fn device_interrupted(&self, device: &EduDevice, stamp: InterruptStamp, irql: &mut Irql<Dispatch>) {
        self.counters.dpc_runs(stamp);
        self.queue.with(irql, |queue, irql| {
            if started_of_current(queue).is_some_and(|started| started.has_arrived(device)) {
                self.watchdog.stop(irql);
                queue.end_current(Ok(()));
            }
        });
    }

    /// What the watchdog's DPC does: not all causes have arrived in time. The device raises at once, so the interrupt was lost: they are
    /// raised again, and at last the request fails.
    pub fn time_is_up(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) {
        self.queue.with(irql, |queue, irql| self.judge(queue, device, irql));
    }

    /// Nothing happens if nothing is waited for any more.
    fn judge(&self, queue: &mut Locked<'_>, device: &EduDevice, irql: &mut Irql<SpinLockHeld>) {
        let held = queue.state.held;
        let Some(started) = started_of_current(queue).filter(|_| !held) else {
            return;
        };
        if !self.watchdog.is_due(irql) {
            return;
        }
        if started.has_arrived(device) {
            // The DpcForIsr was late itself.
            return queue.end_current(Ok(()));
        }
        self.watchdog.counters.timeouts.count();
        started.timeouts = started.timeouts.saturating_add(1);
        let Started { causes, timeouts, .. } = *started;
        if device.registers.with(|registers| registers.is_present()) != Some(true) {
            device.failure.report(irql);
            return queue.end_current(Err(Error::DEVICE_REMOVED));
        }
        if timeouts > device.parameters.retries() {
            return queue.end_current(Err(Error::IO_TIMEOUT));
        }
        if device.registers.with(|registers| registers.raise(causes)).is_some() {
            self.watchdog.counters.retries.count();
            self.watchdog.start(device.parameters.timeout(), irql);
        }
    }

    /// Asks for the DpcForIsr. From the ISR only. That it is asked for already loses nothing: it has not looked yet.
    pub fn request_dpc(&self, stamp: InterruptStamp, irql: &mut Irql<Dirql>) {
        if !self.dpc_for_isr.request(self.queue.current_serial(), stamp, irql) {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Starts nothing from now on. What was raised arrives at once, and is finished, or is raised again when the queue is resumed.
    pub fn hold(&self, irql: &mut Irql<Passive>) {
        self.queue.with(irql, |queue, irql| {
            queue.state.held = true;
            self.watchdog.stop(irql);
        });
    }

    /// Starts the current request, on a device that has just been started.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.queue.with(irql, |queue, irql| {
            *queue.state = State {
                held: false,
                started: None,
            };
            self.start_current(queue, device, irql);
        });
    }

    /// Completes every request, those that still come included, with `error`: the device is gone.
    pub fn close(&self, error: Error, irql: &mut Irql<Passive>) {
        self.queue.close(error, irql);
    }

    /// Cancels the requests that were made through `file`.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        self.queue.cancel_all_of(file, irql);
    }

    /// What the queue has counted.
    pub fn statistics(&self) -> QueueStatistics {
        self.counters.read(self.queue.counts())
    }

    /// What its watchdog has counted.
    pub fn watchdog_statistics(&self) -> WatchdogStatistics {
        self.watchdog.counters.read()
    }

    /// Counts from 0 again.
    pub fn reset_statistics(&self) {
        self.counters.reset();
        self.watchdog.counters.reset();
        self.queue.reset_counts();
    }
}

/// What the current request has raised, if it has.
fn started_of_current<'s>(queue: &'s mut Locked<'_>) -> Option<&'s mut Started> {
    let (_, serial) = queue.current()?;
    queue.state.started.as_mut().filter(|started| started.serial == serial)
}
