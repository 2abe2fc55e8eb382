//! The queue itself: what the current request has raised. IRQL: at most DISPATCH.

use edu::{
    ioctl::{QueueStatistics, RaiseInput, WatchdogStatistics},
    registers::InterruptStatus,
    stamp::InterruptStamp,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    DeviceInit, Disposed, DpcForIsr, Error, FileObject, Irp, Irql, Result, Serial, SpinLock, StartIoQueue,
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
    state: SpinLock<State>,
    pub counters: QueueCounters,
}

struct State {
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

/// What is to be done with a request whose time is up.
enum Late {
    /// It was raised again.
    Raised,
    /// It is not to be waited for any more, and ends with this.
    Ended(Serial, Result<()>),
    /// The device does not answer: nor is it waited for.
    Gone(Serial),
}

impl Started {
    /// Whether every cause has come since.
    fn has_arrived(&self, device: &EduDevice, irql: &mut Irql<SpinLockHeld>) -> bool {
        let arrived = device.arrivals(irql).since(self.causes, self.since);
        arrived.is_some_and(|arrived| arrived.causes == self.causes)
    }
}

impl RaiseQueue {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            queue <- StartIoQueue::new(device),
            dpc_for_isr <- DpcForIsr::new(device),
            watchdog <- Watchdog::new(device),
            state: SpinLock::new(State { held: true, started: None }),
            counters: QueueCounters::default(),
        }? Error)
    }

    /// Puts a request at the end of the queue.
    pub fn submit<'i, L: NoLockHeld>(&self, irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
        self.queue.insert(irp, irql)
    }

    /// Raises what the current request asks for, unless that was done, or the queue is held. While this runs the request cannot be cancelled.
    pub fn start_current<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) {
        self.queue.with_current(irql, |irp, serial, irql| {
            let Ok(RaiseInput { causes }) = irp.read_input() else {
                return;
            };
            let causes = InterruptStatus::from_bits_retain(causes);
            self.state.with(irql, |irql, state| {
                let done = state.started.is_some_and(|started| started.serial == serial);
                if state.held || done {
                    return;
                }
                let since = device.arrivals(irql).sequence();
                // In the critical section: the DpcForIsr may look for what was started before the write has returned.
                if device.registers.with(|registers| registers.raise(causes)).is_some() {
                    state.started = Some(Started {
                        serial,
                        causes,
                        since,
                        timeouts: 0,
                    });
                    self.watchdog.start(device.parameters.timeout(), irql);
                }
            });
        });
    }

    /// What the DpcForIsr does: finishes the request that was current when the ISR asked for it. If that one was cancelled meanwhile, another may be
    /// current, whose interrupt did not ask again because the DPC was asked for already.
    pub fn interrupted(&self, then: Option<Serial>, device: &EduDevice, irql: &mut Irql<Dispatch>) {
        let is_finished = |serial: Option<Serial>, irql: &mut Irql<Dispatch>| {
            serial.is_some_and(|serial| self.finish(serial, device, irql))
        };
        if !is_finished(then, irql) {
            is_finished(self.queue.current_serial(), irql);
        }
    }

    /// Completes the request with this number, if it is the current one, and all that it raised has arrived; the next one is started by that. Whether it
    /// was completed.
    fn finish(&self, serial: Serial, device: &EduDevice, irql: &mut Irql<Dispatch>) -> bool {
        let has_arrived = self.state.with(irql, |irql, state| {
            let started = state.started.filter(|started| started.serial == serial);
            let has_arrived = started.is_some_and(|started| started.has_arrived(device, irql));
            if has_arrived {
                self.watchdog.stop(irql);
            }
            has_arrived
        });
        has_arrived && self.end_current(serial, Ok(()), irql)
    }

    /// Completes the current request, and lets the next one start. `false` if it is not the current one any more: it was cancelled.
    fn end_current(&self, serial: Serial, result: Result<()>, irql: &mut Irql<Dispatch>) -> bool {
        self.queue.finish_current(serial, irql, |irp, irql| {
            self.counters.count_end(result);
            irp.complete(result, irql)
        })
    }

    /// What the watchdog's DPC does: not all causes have arrived in time. The device raises at once, so the interrupt was lost: they are
    /// raised again, and at last the request fails.
    pub fn time_is_up(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) {
        // A request that was cancelled is not current any more, and the next one is started by StartIo.
        let late = self.queue.with_current(irql, |_, serial, irql| {
            self.state
                .with(irql, |irql, state| self.judge(device, state, serial, irql))
        });
        match late.flatten() {
            None | Some(Late::Raised) => {}
            Some(Late::Ended(serial, result)) => {
                self.end_current(serial, result, irql);
            }
            Some(Late::Gone(serial)) => {
                device.failure.report(irql);
                self.end_current(serial, Err(Error::DEVICE_REMOVED), irql);
            }
        }
    }

    /// `None` if nothing is waited for any more.
    fn judge(
        &self,
        device: &EduDevice,
        state: &mut State,
        current: Serial,
        irql: &mut Irql<SpinLockHeld>,
    ) -> Option<Late> {
        let held = state.held;
        let started = state
            .started
            .as_mut()
            .filter(|started| !held && started.serial == current)?;
        if !self.watchdog.is_due(irql) {
            return None;
        }
        if started.has_arrived(device, irql) {
            // The DpcForIsr was late itself.
            return Some(Late::Ended(current, Ok(())));
        }
        self.watchdog.counters.timeouts.count();
        started.timeouts = started.timeouts.saturating_add(1);
        match device.registers.with(|registers| registers.is_present()) {
            None | Some(false) => return Some(Late::Gone(current)),
            Some(true) if started.timeouts > device.parameters.retries() => {
                return Some(Late::Ended(current, Err(Error::IO_TIMEOUT)));
            }
            Some(true) => {}
        }
        device.registers.with(|registers| registers.raise(started.causes))?;
        self.watchdog.counters.retries.count();
        self.watchdog.start(device.parameters.timeout(), irql);
        Some(Late::Raised)
    }

    /// Asks for the DpcForIsr. From the ISR only. That it is asked for already loses nothing: it has not looked yet.
    pub fn request_dpc(&self, stamp: InterruptStamp, irql: &mut Irql<Dirql>) {
        if !self.dpc_for_isr.request(self.queue.current_serial(), stamp, irql) {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Starts nothing from now on. What was raised arrives at once, and is finished, or is raised again when the queue is resumed.
    pub fn hold(&self, irql: &mut Irql<Passive>) {
        self.state.with(irql, |irql, state| {
            state.held = true;
            self.watchdog.stop(irql);
        });
    }

    /// Starts the current request, on a device that has just been started.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.state.with(irql, |_, state| {
            *state = State {
                held: false,
                started: None,
            }
        });
        self.start_current(device, irql);
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
        self.counters.read(&[self.queue.counts()])
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
