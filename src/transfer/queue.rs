//! The queue itself: which transfer runs, how far it has come, and which wait. IRQL: at most DISPATCH.

use core::time::Duration;

use edu::{
    engine::Engine,
    ioctl::QueueStatistics,
    transfer::{Direction, Piece, PieceSize, Progress},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, Event, FileObject, Irp, Irql, Result, SpinLock, Status,
    irql::{NoLockHeld, Passive},
};

use super::{custom_dpc::TransferDpc, dma_buffer::DmaBuffer, transfer_of};
use crate::{device::EduDevice, registers::Registers, statistics::QueueCounters};

/// How often the device is looked at while the queue drains: an interrupt may have been lost.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// How often at the most: a device that is busy for longer than ten seconds (a wait takes a clock tick at least) is not waited for.
const DRAIN_POLLS: u32 = 1000;

/// The note with an IRP of which the device's buffer holds nothing. Else the note says how often the queue had been resumed when its piece was sent.
const NOT_SENT: [u64; 2] = [0; 2];

/// Pending transfers.
///
/// As in the compute queue an IRP is `waiting` or `in_flight`, and can be cancelled in both. An IRP of several pieces goes back to `in_flight`
/// after each, so that it is cancelled between two pieces at the latest, and its next piece comes before any other IRP. While
/// the device moves a piece whose IRP was cancelled nothing else is started: the common buffer is still in use.
#[pin_data]
pub struct TransferQueue {
    #[pin]
    waiting: CancelSafeQueue,
    #[pin]
    in_flight: CancelSafeQueue,
    state: SpinLock<State>,
    #[pin]
    buffer: DmaBuffer,
    #[pin]
    dpc: CustomDpc<TransferDpc>,
    /// Set when the held engine is idle.
    #[pin]
    drained: Event,
    pub counters: QueueCounters,
}

struct State {
    engine: Engine,
    /// What the device moves, while the engine runs.
    piece: Option<Piece>,
    /// How often the queue was resumed: what the device was sent before the last time it may have forgotten.
    resumed: u64,
}

/// What became of an IRP that was to be started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// The device moves its next piece.
    Started,
    /// It was completed without the device.
    Ended,
    /// There is no device to start it on. It is in flight all the same, and surprise removal, which took the registers, ends it.
    NoDevice,
}

impl TransferQueue {
    /// An empty queue, held, without a common buffer.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Status> {
        try_pin_init!(Self {
            waiting <- CancelSafeQueue::new(device),
            in_flight <- CancelSafeQueue::new(device),
            state: SpinLock::new(State { engine: Engine::new(), piece: None, resumed: 0 }),
            buffer <- DmaBuffer::new(device),
            dpc <- CustomDpc::new(device),
            drained <- Event::new(device),
            counters: QueueCounters::default(),
        }? Status)
    }

    /// Gets the common buffer.
    pub fn acquire(&self, irql: &mut Irql<Passive>) -> Result<()> {
        self.buffer.acquire(irql)
    }

    /// Gives the common buffer back, if the device has been seen to be finished with it. If not the safe layer does, when the bus driver has
    /// taken the bus from the device.
    pub fn release(&self, irql: &mut Irql<Passive>) {
        if self.is_drained(irql) {
            self.buffer.release(irql);
        }
    }

    /// Puts a transfer at the end of the queue, and starts it if the device is free.
    pub fn submit<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        irp.set_note(NOT_SENT);
        let pending = self.waiting.insert(irp, irql);
        self.start_next(device, irql);
        pending
    }

    /// Starts the next piece of the IRP that is under way, else the first waiting IRP, if the engine is free and not held.
    pub fn start_next<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) {
        while self.state.with(irql, |_, state| state.engine.claim()) {
            let attempt = self
                .start_first(&self.in_flight, device, irql)
                .or_else(|| self.start_first(&self.waiting, device, irql));
            // A started engine is the device's, and then the DPC's: it is not for this loop to give back.
            if attempt == Some(Attempt::Started) {
                break;
            }
            let wanted = self.give_back(irql, Engine::unclaim);
            // Not "as long as the queue is not empty": an IRP that is being cancelled is in it still, and cannot be had.
            if attempt != Some(Attempt::Ended) && !wanted {
                break;
            }
        }
    }

    /// Starts the first IRP of `queue` on the claimed engine. `None` if there is none.
    fn start_first<L: NoLockHeld>(
        &self,
        queue: &CancelSafeQueue,
        device: &EduDevice,
        irql: &mut Irql<L>,
    ) -> Option<Attempt> {
        let mut attempt = None;
        queue.remove_next(irql, |irp, irql| {
            let (disposed, what) = self.start(irp, device, irql);
            attempt = Some(what);
            disposed
        });
        attempt
    }

    fn start<'i, L: NoLockHeld>(
        &self,
        irp: Irp<'i>,
        device: &EduDevice,
        irql: &mut Irql<L>,
    ) -> (Disposed<'i>, Attempt) {
        let piece = match self.prepare(&irp, irql) {
            Ok(piece) => piece,
            Err(status) => return (self.complete(irp, status, irql), Attempt::Ended),
        };
        // In flight first: the DPC may want the IRP before the writes below have returned.
        let pending = self.in_flight.insert(irp, irql);
        let started = self.state.with(irql, |_, state| {
            let address = self.buffer.address()?;
            device
                .registers
                .with(|registers| registers.start_transfer(piece, address))?;
            state.engine.start();
            state.piece = Some(piece);
            Some(())
        });
        let attempt = if started.is_some() {
            Attempt::Started
        } else {
            Attempt::NoDevice
        };
        (pending, attempt)
    }

    /// The IRP's next piece, with its bytes in the common buffer. The status to complete it with is `STATUS_SUCCESS` if there is none.
    fn prepare<L: NoLockHeld>(&self, irp: &Irp<'_>, irql: &mut Irql<L>) -> Result<Piece> {
        let transfer = transfer_of(irp)?;
        let progress = self.progress(irp, irql);
        let piece = transfer.next_piece(progress, PieceSize::MAX).ok_or(Status::SUCCESS)?;
        self.buffer.load(irp, piece)?;
        Ok(piece)
    }

    /// Finishes the piece that the device moves, if it has; whether the engine is free now.
    ///
    /// It is the device that is asked, not the interrupt cause, which anybody can raise. Without an answer the IRP stays in flight until
    /// surprise removal, which is on its way, ends it.
    pub fn finish_current<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) -> bool {
        let (finished, piece) = self.state.with(irql, |_, state| {
            let finished =
                state.engine.is_running() && device.registers.with(Registers::is_transferring) == Some(false);
            if finished {
                state.engine.finish();
            }
            (finished, state.piece.take_if(|_| finished))
        });
        if !finished {
            return false;
        }
        if let Some(piece) = piece {
            // If there is none it was cancelled.
            self.in_flight.remove_next(irql, |mut irp, irql| {
                match self.settle(&mut irp, piece, irql) {
                    // It is completed here if it was cancelled meanwhile.
                    Ok(()) => self.in_flight.insert(irp, irql),
                    Err(status) => self.complete(irp, status, irql),
                }
            });
        }
        self.give_back(irql, Engine::delivered);
        true
    }

    /// Takes what a finished piece has brought. `Ok` if the IRP has more pieces, else the status to complete it with.
    fn settle<L: NoLockHeld>(&self, irp: &mut Irp<'_>, piece: Piece, irql: &mut Irql<L>) -> Result<()> {
        let transfer = transfer_of(irp)?;
        let progress = transfer.progress_after(self.progress(irp, irql), piece);
        self.buffer.unload(irp, piece)?;
        if progress.sent {
            let resumed = self.state.with(irql, |_, state| state.resumed);
            irp.set_note([resumed, 0]);
        } else {
            irp.set_note(NOT_SENT);
        }
        if irp.read_write().is_some() && piece.direction == Direction::ToDevice {
            irp.add_written(piece.length)?;
        }
        let next = transfer.next_piece(progress, PieceSize::MAX);
        next.map(|_| ()).ok_or(Status::SUCCESS)
    }

    /// How far a request has come. What the device was sent before it was stopped does not count: it may have forgotten it.
    fn progress<L: NoLockHeld>(&self, irp: &Irp<'_>, irql: &mut Irql<L>) -> Progress {
        let [sent, _] = irp.note();
        Progress {
            done: irp.transferred(),
            sent: sent != 0 && sent == self.state.with(irql, |_, state| state.resumed),
        }
    }

    fn complete<'i, L: NoLockHeld>(&self, irp: Irp<'i>, status: Status, irql: &mut Irql<L>) -> Disposed<'i> {
        self.counters.count_end(status);
        irp.complete(status, irql)
    }

    /// Gives the engine back, and tells who waits for it to be idle. Returns what `how` does.
    fn give_back<L: NoLockHeld, R: Send>(&self, irql: &mut Irql<L>, how: fn(&mut Engine) -> R) -> R {
        let (result, drained) = self.state.with(irql, |_, state| {
            let result = how(&mut state.engine);
            (result, state.engine.is_drained())
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

    /// Starts nothing from now on, and waits until the device is finished with its piece; an IRP that has more stays in flight. One whose piece
    /// the device does not finish in time ends with `STATUS_IO_TIMEOUT`.
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
        self.state.with(irql, |_, state| state.engine.hold());
    }

    fn is_drained(&self, irql: &mut Irql<Passive>) -> bool {
        self.state.with(irql, |_, state| state.engine.is_drained())
    }

    /// Goes on with what was under way, then with what waits, on a device that runs again.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.state.with(irql, |_, state| {
            let busy = device.registers.with(Registers::is_transferring).unwrap_or(false);
            state.engine.resume(busy);
            state.piece = None;
            state.resumed = state.resumed.wrapping_add(1);
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
