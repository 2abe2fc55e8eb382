//! A queue whose requests the device works on one at a time, piece by piece: what compute and transfer have in common. IRQL: at most
//! DISPATCH.

use core::ops::ControlFlow;

use edu::{
    engine::{Activity, Engine, Verdict},
    ioctl::{QueueStatistics, WatchdogStatistics},
    stamp::InterruptStamp,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, DpcRoutine, Error, Event, FileObject, Irp, Irql, LockedQueue,
    Result, TimerRoutine,
    irql::{Dispatch, NoLockHeld, Passive, SpinLockHeld},
};

use crate::{
    deadline::Deadline, device::EduDevice, registers::Registers, statistics::QueueCounters, watchdog::Watchdog,
};

/// An engine of the device, and how requests use it.
///
/// All functions run under the queue's spin lock.
pub trait DeviceEngine: Sized + 'static {
    /// The CustomDpc, which the ISR queues. It calls [`SerialQueue::device_interrupted`].
    type Dpc: DpcRoutine<Device = EduDevice, SystemArgument1 = InterruptStamp, SystemArgument2 = ()>;
    /// The watchdog's DPC. It calls [`SerialQueue::time_is_up`].
    type WatchdogDpc: TimerRoutine<Device = EduDevice>;
    /// What the device is told.
    type Piece: Copy + Send + Sync;
    /// What it answers.
    type Answer: Send;

    /// The IRP's next piece, with everything in place for it; or what it is completed with.
    ///
    /// `resumed` is another number, which is not 0, each time that the device runs again after a stop or a sleep: it may have forgotten what it was
    /// told before.
    fn prepare(device: &EduDevice, irp: &mut Irp<'_>, resumed: u64) -> ControlFlow<Result<()>, Self::Piece>;

    /// Tells the device; `false` if it cannot be told.
    fn start(device: &EduDevice, registers: &Registers, piece: Self::Piece) -> bool;

    /// What the device says of itself.
    fn activity(registers: &Registers) -> Activity;

    /// The answer to `piece`, if the device has finished it and says so itself: anybody can raise its interrupt.
    fn answer(registers: &Registers, piece: Self::Piece) -> Option<Self::Answer>;

    /// Takes what a finished piece has brought. [`ControlFlow::Continue`] if the IRP has another piece, else what it is completed with.
    fn settle(
        device: &EduDevice,
        irp: &mut Irp<'_>,
        piece: Self::Piece,
        answer: Self::Answer,
        resumed: u64,
    ) -> ControlFlow<Result<()>>;
}

/// The note with an IRP that nothing was done for yet. Later it is the engine's.
pub const NEW: [u64; 2] = [0; 2];

/// Pending requests for one engine of the device.
///
/// The queue's current IRP is the one that the device works for. It stays in the queue from its first piece to its last, so it can be cancelled at any time.
/// The device cannot be told to stop: if the current IRP is cancelled, the engine stays busy until the device is finished, and the result is dropped.
#[pin_data]
pub struct SerialQueue<D: DeviceEngine> {
    #[pin]
    queue: CancelSafeQueue<State<D::Piece>>,
    #[pin]
    dpc: CustomDpc<D::Dpc>,
    #[pin]
    watchdog: Watchdog<D::WatchdogDpc>,
    /// Set when the held engine is drained.
    #[pin]
    drained: Event,
    pub counters: QueueCounters,
}

/// What the driver knows of the device's engine.
pub struct State<P> {
    engine: Engine,
    /// What the device was told last.
    piece: Option<P>,
    /// How often the queue was resumed.
    resumed: u64,
}

/// The queue while its lock is held.
type Locked<'q, D> = LockedQueue<'q, State<<D as DeviceEngine>::Piece>>;

impl<D: DeviceEngine> SerialQueue<D> {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        let state = State {
            engine: Engine::new(),
            piece: None,
            resumed: 0,
        };
        try_pin_init!(Self {
            queue <- CancelSafeQueue::with_state(state, device),
            dpc <- CustomDpc::new(device),
            watchdog <- Watchdog::new(device),
            drained <- Event::new(device),
            counters: QueueCounters::default(),
        }? Error)
    }

    /// Puts a request at the end of the queue, and starts it if the engine is free.
    #[inline(never)]
    pub fn submit<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        irp.set_note(NEW);
        self.queue
            .insert_with(irp, irql, |queue, irql| self.start_next(queue, device, irql))
    }

    /// Starts the next piece of the current IRP, else the first IRP that waits, if the engine is free.
    fn start_next(&self, queue: &mut Locked<'_, D>, device: &EduDevice, irql: &mut Irql<SpinLockHeld>) {
        while queue.state.engine.is_free() && queue.begin_next() {
            match queue.with_current(|irp, state| D::prepare(device, irp, state.resumed)) {
                Some(ControlFlow::Continue(piece)) => {
                    if self.tell(device, piece, irql) {
                        queue.state.engine.start();
                        queue.state.piece = Some(piece);
                    }
                    // Without a device the IRP stays the current one. Surprise removal, which took the registers, ends it.
                    return;
                }
                Some(ControlFlow::Break(result)) => queue.end_current(result),
                None => return,
            }
        }
    }

    /// Tells the device to begin with a piece, and starts the watchdog; `false` if there is no device to be told.
    fn tell(&self, device: &EduDevice, piece: D::Piece, irql: &mut Irql<SpinLockHeld>) -> bool {
        let told = device
            .registers
            .with(|registers| D::start(device, registers, piece))
            .unwrap_or(false);
        if told {
            self.watchdog.start(device.parameters.timeout(), irql);
        }
        told
    }

    /// What the CustomDpc does, which the ISR has queued: takes what the finished piece has brought, completes the IRP after its last piece, and starts the
    /// next piece or IRP. `false` if the device has not finished: its interrupt is spurious, or comes late.
    pub fn device_interrupted(&self, device: &EduDevice, stamp: InterruptStamp, irql: &mut Irql<Dispatch>) -> bool {
        self.counters.dpc_runs(stamp);
        self.queue.with(irql, |queue, irql| {
            let has_finished = self.take_finished(queue, device);
            if has_finished {
                self.go_on(queue, device, irql);
            }
            has_finished
        })
    }

    /// Takes what the device has finished; `false` if it has not.
    ///
    /// The device is asked, not the interrupt cause, which anybody can raise. Without an answer the IRP stays the current one until the watchdog, or surprise
    /// removal, ends it.
    fn take_finished(&self, queue: &mut Locked<'_, D>, device: &EduDevice) -> bool {
        let state = &mut *queue.state;
        // While the engine is drained the device may be asleep.
        if !state.engine.is_running() || state.engine.is_drained() {
            return false;
        }
        // A quarantined engine works for nobody: the current IRP, if there is one, has to be begun again.
        let Some(piece) = state.piece.filter(|_| !state.engine.is_quarantined()) else {
            let is_idle = device.registers.with(D::activity) == Some(Activity::Idle);
            if is_idle {
                self.watchdog.counters.late.count();
                state.engine.finish();
            }
            return is_idle;
        };
        let Some(answer) = device.registers.with(|registers| D::answer(registers, piece)).flatten() else {
            return false;
        };
        state.engine.finish();
        // There is no current IRP if it was cancelled.
        let settled = queue.with_current(|irp, state| D::settle(device, irp, piece, answer, state.resumed));
        if let Some(ControlFlow::Break(result)) = settled {
            queue.end_current(result);
        }
        true
    }

    /// The device has finished, or is not waited for any more: starts what comes next, and tells who waits for the engine to be drained.
    fn go_on(&self, queue: &mut Locked<'_, D>, device: &EduDevice, irql: &mut Irql<SpinLockHeld>) {
        self.start_next(queue, device, irql);
        if !queue.state.engine.is_running() {
            self.watchdog.stop(irql);
        }
        if queue.state.engine.is_drained() {
            self.drained.set(irql);
        }
    }

    /// What the watchdog's DPC does: the device has not finished in time, or its interrupt has not come. See [`Verdict`].
    pub fn time_is_up(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) {
        self.queue.with(irql, |queue, irql| {
            let Some(verdict) = self.judge(device, queue.state, irql) else {
                return;
            };
            match verdict {
                Verdict::Wait => return self.watchdog.start(device.parameters.timeout(), irql),
                Verdict::Retry if self.retry(queue, device, irql) => return,
                Verdict::Retry => queue.state.engine.finish(),
                Verdict::Lost | Verdict::Stuck => queue.end_current(Err(Error::IO_TIMEOUT)),
                Verdict::Recovered => self.watchdog.counters.late.count(),
                Verdict::Gone => {
                    device.failure.report(irql);
                    queue.end_current(Err(Error::DEVICE_REMOVED));
                }
            }
            if queue.state.engine.is_quarantined() {
                self.watchdog.start(device.parameters.timeout(), irql);
            }
            self.go_on(queue, device, irql);
        });
    }

    /// Asks the device. `None` if nothing is waited for any more: the timer was set anew, or the device is held, and may be asleep.
    fn judge(&self, device: &EduDevice, state: &mut State<D::Piece>, irql: &mut Irql<SpinLockHeld>) -> Option<Verdict> {
        if !state.engine.is_running() || state.engine.is_drained() || !self.watchdog.is_due(irql) {
            return None;
        }
        if !state.engine.is_quarantined() {
            self.watchdog.counters.timeouts.count();
        }
        let activity = device.registers.with(D::activity).unwrap_or(Activity::Gone);
        Some(state.engine.time_is_up(activity, device.parameters.retries()))
    }

    /// Tells the device the same again; `false` if the IRP was cancelled, or there is no device to be told. Nor is a held device told, which is to come to an
    /// end: the IRP stays the current one, and is begun again when the queue is resumed.
    fn retry(&self, queue: &Locked<'_, D>, device: &EduDevice, irql: &mut Irql<SpinLockHeld>) -> bool {
        let is_wanted = queue.has_current() && !queue.state.engine.is_held();
        let piece = queue.state.piece.filter(|_| is_wanted);
        let told = piece.is_some_and(|piece| self.tell(device, piece, irql));
        if told {
            self.watchdog.counters.retries.count();
        }
        told
    }

    /// Queues the CustomDpc. Any IRQL. That it is queued already loses nothing: it has not looked at the device yet, and the time of the interrupt that
    /// it was queued for is the one that counts.
    pub fn queue_dpc(&self, stamp: InterruptStamp) {
        if !self.dpc.queue(stamp, ()) {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Starts nothing from now on. An IRP that has more pieces stays the current one.
    pub fn hold(&self, irql: &mut Irql<Passive>) {
        self.drained.clear(irql);
        self.queue.with(irql, |queue, _irql| queue.state.engine.hold());
    }

    /// Waits until the device is finished with its piece, or the watchdog does not wait for it any more. After [`hold`](Self::hold): nothing is begun.
    ///
    /// Not beyond `deadline`: what the device works on then is begun again when the queue is resumed.
    pub fn drain(&self, deadline: Deadline, irql: &mut Irql<Passive>) {
        if !self.queue.with(irql, |queue, _irql| queue.state.engine.is_drained()) {
            self.drained.wait(deadline.rest(), irql);
        }
        self.queue.with(irql, |queue, irql| {
            queue.state.engine.abandon();
            // The device may go to sleep: nobody looks at it.
            self.watchdog.stop(irql);
        });
    }

    /// Whether nothing is started, and the device works on nothing, not even for nobody.
    pub fn is_idle<L: NoLockHeld>(&self, irql: &mut Irql<L>) -> bool {
        self.queue.with(irql, |queue, _irql| queue.state.engine.is_idle())
    }

    /// Goes on with what was under way, then with what waits, on a device that runs again.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.queue.with(irql, |queue, irql| {
            let state = &mut *queue.state;
            let activity = device.registers.with(D::activity).unwrap_or(Activity::Idle);
            state.engine.resume(activity != Activity::Idle);
            state.resumed = state.resumed.wrapping_add(1);
            if state.engine.is_running() {
                self.watchdog.start(device.parameters.timeout(), irql);
            }
            self.start_next(queue, device, irql);
        });
    }

    /// Completes every IRP, those that still come included, with `error`: the device is gone.
    pub fn close(&self, error: Error, irql: &mut Irql<Passive>) {
        self.queue.with(irql, |queue, irql| {
            queue.state.engine.hold();
            self.watchdog.stop(irql);
        });
        self.queue.close(error, irql);
    }

    /// Cancels the IRPs that were made through `file`.
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
