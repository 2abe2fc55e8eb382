//! The queue itself: which factorial runs, and which waits. IRQL: at most DISPATCH.
use core::time::Duration;

use edu::{
    engine::Engine,
    ioctl::{FactorialInput, FactorialOutput, QueueStatistics},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, Event, FileObject, Irp, Irql, SpinLock, Status,
    irql::{NoLockHeld, Passive},
};

use super::custom_dpc::ComputeDpc;
use crate::{device::EduDevice, registers::Registers, statistics::QueueCounters};

/// How often the device is looked at while the queue drains: an interrupt may have been lost.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// How often at the most: a device that computes for longer than ten seconds (a wait takes a clock tick at least) is not waited for.
const DRAIN_POLLS: u32 = 1000;

/// Pending factorials.
///
/// An IRP is in one of two cancel-safe queues and can be cancelled in both: `waiting` for its turn, or `in_flight`, which has one at
/// the most. The device cannot be told to stop; if the IRP in flight is cancelled, the engine stays busy until the device is finished,
/// and the result is dropped.
#[pin_data]
pub struct ComputeQueue {
    #[pin]
    waiting: CancelSafeQueue,
    #[pin]
    in_flight: CancelSafeQueue,
    engine: SpinLock<Engine>,
    #[pin]
    dpc: CustomDpc<ComputeDpc>,
    /// Set when the held engine is idle.
    #[pin]
    drained: Event,
    pub counters: QueueCounters,
}

impl ComputeQueue {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Status> {
        try_pin_init!(Self {
            waiting <- CancelSafeQueue::new(device),
            in_flight <- CancelSafeQueue::new(device),
            engine: SpinLock::new(Engine::new()),
            dpc <- CustomDpc::new(device),
            drained <- Event::new(device),
            counters: QueueCounters::default(),
        }? Status)
    }

    /// Puts a factorial at the end of the queue, and starts it if the device is free.
    pub fn submit<'i, L: NoLockHeld>(&self, irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        let pending = self.waiting.insert(irp, irql);
        self.start_next(device, irql);
        pending
    }

    /// Starts the first waiting IRP if the engine is free and not held.
    pub fn start_next<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) {
        while self.engine.with(irql, |_, engine| engine.claim()) {
            let mut started = false;
            self.waiting.remove_next(irql, |irp, irql| {
                let (disposed, is_started) = self.start(irp, device, irql);
                started = is_started;
                disposed
            });
            // A started engine is the device's, and then the DPC's: it is not for this loop to give back.
            if started {
                break;
            }
            // Not "as long as the queue is not empty": an IRP that is being cancelled is in it still, and cannot be had, and the thread that
            // cancels it may be waiting for this very processor.
            if !self.give_back(irql, Engine::unclaim) {
                break;
            }
        }
    }

    /// Starts one IRP on the claimed engine; whether it was started. Without a device to start it on, the IRP in flight is ended by
    /// surprise removal, which took the registers.
    fn start<'i, L: NoLockHeld>(&self, irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> (Disposed<'i>, bool) {
        let FactorialInput { n } = match irp.read_input() {
            Ok(input) => input,
            Err(status) => return (irp.complete(status, irql), false),
        };
        // In flight first: the DPC may want the IRP before the write below has returned.
        let pending = self.in_flight.insert(irp, irql);
        let started = self.engine.with(irql, |_, engine| {
            let written = device
                .registers
                .with(|registers| registers.start_factorial(n))
                .is_some();
            if written {
                engine.start();
                device.counters.factorials_started.count();
            }
            written
        });
        (pending, started)
    }

    /// Completes the IRP in flight if the device is finished with it; whether the engine is free now.
    ///
    /// It is the device that is asked, not the interrupt cause, which anybody can raise. So an interrupt costs two reads: is it
    /// computing, and what is the result. Without an answer the IRP stays in flight until surprise removal, which is
    /// on its way, ends it.
    pub fn finish_current<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) -> bool {
        let result = self.engine.with(irql, |_, engine| {
            if !engine.is_running() {
                return None;
            }
            let result = device.registers.with(|registers| {
                if registers.is_computing() {
                    None
                } else {
                    registers.factorial().ok()
                }
            })??;
            engine.finish();
            Some(result)
        });
        let Some(result) = result else {
            return false;
        };
        // If there is none it was cancelled.
        self.in_flight.remove_next(irql, |mut irp, irql| {
            let status = match irp.write_output(&FactorialOutput { result }) {
                Ok(()) => Status::SUCCESS,
                Err(status) => status,
            };
            self.counters.count_end(status);
            irp.complete(status, irql)
        });
        self.give_back(irql, Engine::delivered);
        true
    }

    /// Gives the engine back, and tells who waits for it to be idle. Returns what `how` does.
    fn give_back<L: NoLockHeld, R: Send>(&self, irql: &mut Irql<L>, how: fn(&mut Engine) -> R) -> R {
        let (result, drained) = self.engine.with(irql, |_, engine| {
            let result = how(engine);
            (result, engine.is_drained())
        });
        if drained {
            self.drained.set(irql);
        }
        result
    }

    /// Queues the CustomDpc. Any IRQL. That it is queued already loses nothing: it has not looked at the device yet.
    pub fn queue_dpc(&self) {
        if !self.dpc.queue() {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Starts nothing from now on, and waits until the device is finished with what it computes. An IRP that the device does not finish
    /// in time ends with `STATUS_IO_TIMEOUT`.
    pub fn hold_and_drain(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.drained.clear(irql);
        self.hold(irql);
        for _ in 0..DRAIN_POLLS {
            if self.is_drained(irql) || self.drained.wait(DRAIN_POLL, irql) {
                return;
            }
            // Its interrupt may have been lost: what the DPC does, it does whether or not one came.
            self.finish_current(device, irql);
        }
        self.in_flight.drain(Status::IO_TIMEOUT, irql);
    }

    fn hold(&self, irql: &mut Irql<Passive>) {
        self.engine.with(irql, |_, engine| engine.hold());
    }

    fn is_drained(&self, irql: &mut Irql<Passive>) -> bool {
        self.engine.with(irql, |_, engine| engine.is_drained())
    }

    /// Starts what waits, on a device that has just been started.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.engine.with(irql, |_, engine| {
            let computing = device.registers.with(Registers::is_computing).unwrap_or(false);
            engine.resume(computing);
        });
        self.start_next(device, irql);
    }

    /// Completes every IRP, those that still come included, with `status`: the device is gone.
    pub fn close(&self, status: Status, irql: &mut Irql<Passive>) {
        self.hold(irql);
        self.waiting.close(status, irql);
        self.in_flight.close(status, irql);
    }

    /// Cancels the IRPs that were made through `file`.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        self.waiting.cancel_all_of(file, irql);
        self.in_flight.cancel_all_of(file, irql);
    }

    /// What the queue has counted.
    pub fn statistics(&self) -> QueueStatistics {
        self.counters.read(&[self.waiting.counts(), self.in_flight.counts()])
    }

    /// Counts from 0 again.
    pub fn reset_statistics(&self) {
        self.counters.reset();
        self.waiting.reset_counts();
        self.in_flight.reset_counts();
    }
}
