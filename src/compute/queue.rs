//! The queue itself: which factorial runs, and which waits. IRQL: at most DISPATCH.
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

use core::time::Duration;

use edu::{
    engine::Engine,
    ioctl::{FactorialInput, FactorialOutput},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, Event, FileObject, Irp, Irql, Revocable, SpinLock, Status,
    irql::{NoLockHeld, Passive},
};

use super::custom_dpc::ComputeDpc;
use crate::{device::EduDevice, registers::Registers};

/// How often the device is looked at while the queue drains: an interrupt may have been lost.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// How often at the most: a device that computes for longer than ten seconds is not waited for.
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
        }? Status)
    }

    /// Puts a factorial at the end of the queue, and starts it if the device is free.
    pub fn submit<'i, L: NoLockHeld>(
        &self,
        irp: Irp<'i>,
        registers: &Revocable<Registers>,
        irql: &mut Irql<L>,
    ) -> Disposed<'i> {
        let pending = self.waiting.insert(irp, irql);
        self.start_next(registers, irql);
        pending
    }

    /// Starts waiting IRPs as long as the engine is free and not held.
    pub fn start_next<L: NoLockHeld>(&self, registers: &Revocable<Registers>, irql: &mut Irql<L>) {
        while self.engine.with(irql, |_, engine| engine.claim()) {
            let any = self
                .waiting
                .remove_next(irql, |irp, irql| self.start(irp, registers, irql));
            self.release_engine(irql);
            // Who queued an IRP while the engine was claimed here has left it to this loop.
            if !any && self.waiting.is_empty(irql) {
                break;
            }
        }
    }

    /// Starts one IRP on the claimed engine. Without a device to start it on the engine stays claimed, and the IRP in flight until
    /// surprise removal, which took the registers, ends it.
    fn start<'i, L: NoLockHeld>(
        &self,
        irp: Irp<'i>,
        registers: &Revocable<Registers>,
        irql: &mut Irql<L>,
    ) -> Disposed<'i> {
        let FactorialInput { n } = match irp.read_input() {
            Ok(input) => input,
            Err(status) => return irp.complete(status, irql),
        };
        // In flight first: the DPC may want the IRP before the write below has returned.
        let pending = self.in_flight.insert(irp, irql);
        self.engine.with(irql, |_, engine| {
            if registers.with(|registers| registers.start_factorial(n)).is_some() {
                engine.start();
            }
        });
        pending
    }

    /// Completes the IRP in flight if the device is finished with it; whether the engine is free now.
    ///
    /// It is the device that is asked, not the interrupt cause, which anybody can raise. So an interrupt costs two reads: is it
    /// computing, and what is the result. Without an answer the IRP stays in flight until surprise removal, which is
    /// on its way, ends it.
    pub fn finish_current<L: NoLockHeld>(&self, registers: &Revocable<Registers>, irql: &mut Irql<L>) -> bool {
        let result = self.engine.with(irql, |_, engine| {
            if !engine.is_running() {
                return None;
            }
            let result = registers.with(|registers| {
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
            irp.complete(status, irql)
        });
        self.release_engine(irql);
        true
    }

    fn release_engine<L: NoLockHeld>(&self, irql: &mut Irql<L>) {
        let drained = self.engine.with(irql, |_, engine| {
            engine.release();
            engine.is_drained()
        });
        if drained {
            self.drained.set(irql);
        }
    }

    /// Queues the CustomDpc. Any IRQL. That it is queued already loses nothing: it has not looked at the device yet.
    pub fn queue_dpc(&self) {
        let _ = self.dpc.queue();
    }

    /// Starts nothing from now on, and waits until the device is finished with what it computes. An IRP that the device does not finish
    /// in time ends with `STATUS_IO_TIMEOUT`.
    pub fn hold_and_drain(&self, registers: &Revocable<Registers>, irql: &mut Irql<Passive>) {
        self.drained.clear(irql);
        self.hold(irql);
        for _ in 0..DRAIN_POLLS {
            if self.is_drained(irql) || self.drained.wait(DRAIN_POLL, irql) {
                return;
            }
            // Its interrupt may have been lost: what the DPC does, it does whether or not one came.
            self.finish_current(registers, irql);
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
    pub fn resume(&self, registers: &Revocable<Registers>, irql: &mut Irql<Passive>) {
        self.engine.with(irql, |_, engine| {
            let computing = registers.with(Registers::is_computing).unwrap_or(false);
            engine.resume(computing);
        });
        self.start_next(registers, irql);
    }

    /// Completes every IRP, those that still come included, with `status`: the device is gone.
    pub fn close(&self, status: Status, irql: &mut Irql<Passive>) {
        self.hold(irql);
        self.waiting.close(status, irql);
        self.in_flight.close(status, irql);
    }

    /// Cancels the IRPs that were made through `file`.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        for queue in [&self.waiting, &self.in_flight] {
            while queue.remove_next_of(file, irql, |irp, irql| irp.complete(Status::CANCELLED, irql)) {}
        }
    }
}
