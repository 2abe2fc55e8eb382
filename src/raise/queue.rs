//! The queue itself: what the current request has raised. IRQL: at most DISPATCH.

use edu::{
    ioctl::{QueueStatistics, RaiseInput},
    registers::InterruptStatus,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    DeviceInit, Disposed, DpcForIsr, FileObject, Irp, Irql, Serial, SpinLock, StartIoQueue, Status,
    irql::{Dirql, Dispatch, NoLockHeld, Passive},
};

use super::{dpc_for_isr::RaiseDpcForIsr, start_io::RaiseStartIo};
use crate::{device::EduDevice, statistics::QueueCounters};

/// Pending requests to raise interrupt causes. The device raises at once, so a request is finished when its causes have arrived.
#[pin_data]
pub struct RaiseQueue {
    #[pin]
    queue: StartIoQueue<RaiseStartIo>,
    #[pin]
    dpc_for_isr: DpcForIsr<RaiseDpcForIsr>,
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
}

impl RaiseQueue {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Status> {
        try_pin_init!(Self {
            queue <- StartIoQueue::new(device),
            dpc_for_isr <- DpcForIsr::new(device),
            state: SpinLock::new(State { held: true, started: None }),
            counters: QueueCounters::default(),
        }? Status)
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
                    state.started = Some(Started { serial, causes, since });
                }
            });
        });
    }

    /// Completes the current request if all that it raised has arrived; the next one is started by that.
    pub fn finish_current(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) {
        let finished = self.state.with(irql, |irql, state| {
            let Started { serial, causes, since } = state.started?;
            let arrived = device.arrivals(irql).since(causes, since)?;
            (arrived.causes == causes).then_some(serial)
        });
        if let Some(serial) = finished {
            // If it is not the current one any more it was cancelled.
            self.queue.finish_current(serial, irql, |irp, irql| {
                self.counters.count_end(Status::SUCCESS);
                irp.complete(Status::SUCCESS, irql)
            });
        }
    }

    /// Asks for the DpcForIsr. From the ISR only. That it is asked for already loses nothing: it has not looked yet.
    pub fn request_dpc(&self, irql: &mut Irql<Dirql>) {
        if !self.dpc_for_isr.request(irql) {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Starts nothing from now on. What was raised arrives at once, and is finished, or is raised again when the queue is resumed.
    pub fn hold(&self, irql: &mut Irql<Passive>) {
        self.state.with(irql, |_, state| state.held = true);
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

    /// Completes every request, those that still come included, with `status`: the device is gone.
    pub fn close(&self, status: Status, irql: &mut Irql<Passive>) {
        self.queue.close(status, irql);
    }

    /// Cancels the requests that were made through `file`.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        self.queue.cancel_all_of(file, irql);
    }

    /// What the queue has counted.
    pub fn statistics(&self) -> QueueStatistics {
        self.counters.read(&[self.queue.counts()])
    }

    /// Counts from 0 again.
    pub fn reset_statistics(&self) {
        self.counters.reset();
        self.queue.reset_counts();
    }
}
