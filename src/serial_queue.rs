//! A queue whose requests the device works on one at a time, piece by piece: what compute and transfer have in common. IRQL: at most
//! DISPATCH.

use core::ops::ControlFlow;
use core::time::Duration;

use edu::{
    engine::{Activity, Engine, Verdict},
    ioctl::{QueueStatistics, WatchdogStatistics},
    stamp::InterruptStamp,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, DpcRoutine, Error, Event, FileObject, Irp, Irql, Result,
    SpinLock, TakenIrp, TimerRoutine,
    irql::{Dispatch, NoLockHeld, Passive, SpinLockHeld},
    sleep,
};

use crate::{
    deadline::Deadline, device::EduDevice, registers::Registers, statistics::QueueCounters, watchdog::Watchdog,
};

/// An engine of the device, and how requests use it.
///
/// All functions but [`prepare`](Self::prepare) and [`settle`](Self::settle) run under the queue's spin lock.
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

const A_MOMENT: Duration = Duration::from_millis(1);

/// Pending requests for one engine of the device.
///
/// An IRP is in the cancel-safe queue while it waits, and while the device works for it. That one is *in flight*: the queue says
/// [begun](wdm::TakenIrp::put_back). It is out of the queue only while it is prepared or settled, and one of several pieces goes back after each:
/// so it is cancelled between two pieces at the latest, and its next piece comes before any other IRP. The device cannot be told to stop; if the
/// IRP in flight is cancelled, the engine stays busy until the device is finished, and the result is dropped.
#[pin_data]
pub struct SerialQueue<D: DeviceEngine> {
    #[pin]
    queue: CancelSafeQueue,
    state: SpinLock<State<D::Piece>>,
    #[pin]
    dpc: CustomDpc<D::Dpc>,
    #[pin]
    watchdog: Watchdog<D::WatchdogDpc>,
    /// Set when the held engine is drained.
    #[pin]
    drained: Event,
    pub counters: QueueCounters,
}

struct State<P> {
    engine: Engine,
    /// What the device was told last.
    piece: Option<P>,
    /// How often the queue was resumed.
    resumed: u64,
}

/// What became of an IRP that was to be started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// The device works on it.
    Started,
    /// It was completed without the device.
    Ended,
    /// There is no device to start it on. It is in flight all the same, and surprise removal, which took the registers, ends it.
    NoDevice,
}

impl<D: DeviceEngine> SerialQueue<D> {
    /// An empty queue, held.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            queue <- CancelSafeQueue::new(device),
            state: SpinLock::new(State { engine: Engine::new(), piece: None, resumed: 0 }),
            dpc <- CustomDpc::new(device),
            watchdog <- Watchdog::new(device),
            drained <- Event::new(device),
            counters: QueueCounters::default(),
        }? Error)
    }

    /// Puts a request at the end of the queue, and starts it if the engine is free.
    pub fn submit<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        irp.set_note(NEW);
        let pending = self.queue.insert(irp, irql);
        self.start_next(device, irql);
        pending
    }

    /// Starts the next piece of the IRP that is under way, else the first waiting IRP, if the engine is free and not held.
    fn start_next<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) {
        while self.state.with(irql, |_, state| state.engine.claim()) {
            let attempt = self.start_first(device, irql);
            // A started engine is the device's, and then the DPC's: it is not for this loop to give back.
            if attempt == Some(Attempt::Started) {
                break;
            }
            let wanted = self.give_back(irql, Engine::unclaim);
            // Not "as long as the queue is not empty": an IRP that is being cancelled is in it still, and cannot be had, and the thread that
            // cancels it may be waiting for this very processor.
            if attempt != Some(Attempt::Ended) && !wanted {
                break;
            }
        }
    }

    /// Starts the first IRP on the claimed engine. `None` if there is none.
    fn start_first<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) -> Option<Attempt> {
        let mut attempt = None;
        self.queue.take_next(irql, |irp, irql| {
            let (disposed, what) = self.start(irp, device, irql);
            attempt = Some(what);
            disposed
        });
        attempt
    }

    fn start<'i, L: NoLockHeld>(
        &self,
        mut irp: TakenIrp<'i>,
        device: &EduDevice,
        irql: &mut Irql<L>,
    ) -> (Disposed<'i>, Attempt) {
        let resumed = self.state.with(irql, |_, state| state.resumed);
        let piece = match D::prepare(device, &mut irp, resumed) {
            ControlFlow::Continue(piece) => piece,
            ControlFlow::Break(result) => return (self.complete(irp.into_irp(), result, irql), Attempt::Ended),
        };
        // In flight first: the DPC may want the IRP before the write below has returned.
        let pending = irp.put_back(irql);
        let started = self.state.with(irql, |irql, state| {
            let told = self.tell(device, piece, irql);
            if told {
                state.engine.start();
                state.piece = Some(piece);
            }
            told
        });
        (pending, if started { Attempt::Started } else { Attempt::NoDevice })
    }

    /// Tells the device to begin with a piece, and starts the watchdog; `false` if there is no device to be told. Under the lock: its interrupt
    /// may come at once, and the DPC must find the engine running.
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

    /// What the CustomDpc does, which the ISR has queued: sees to the finished piece, and starts the next. `false` if the device has not finished: its
    /// interrupt is spurious, or comes late.
    pub fn device_interrupted(&self, device: &EduDevice, stamp: InterruptStamp, irql: &mut Irql<Dispatch>) -> bool {
        self.counters.dpc_runs(stamp);
        self.take_finished(device, irql)
    }

    /// Sees to the piece that the device has finished, and starts the next. `false` if it has not finished.
    ///
    /// It is the device that is asked, not the interrupt cause, which anybody can raise. Without an answer the IRP stays in flight until the
    /// watchdog, or surprise removal, ends it.
    fn take_finished(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) -> bool {
        let finished = self.state.with(irql, |irql, state| {
            // While it is drained it may be asleep.
            if !state.engine.is_running() || state.engine.is_drained() {
                return None;
            }
            // A quarantined engine worked for nobody: the IRP that may be in flight has not been begun.
            let wanted = state.piece.filter(|_| !state.engine.is_quarantined());
            let answered = match wanted {
                Some(piece) => Some((piece, device.registers.with(|registers| D::answer(registers, piece))??)),
                None if device.registers.with(D::activity)? == Activity::Idle => None,
                None => return None,
            };
            if answered.is_none() {
                self.watchdog.counters.late.count();
            }
            state.engine.finish();
            self.watchdog.stop(irql);
            Some((answered, state.resumed))
        });
        let Some((answered, resumed)) = finished else {
            return false;
        };
        if let Some((piece, answer)) = answered {
            // If there is none it was cancelled.
            self.queue.take_begun(irql, |mut irp, irql| {
                match D::settle(device, &mut irp, piece, answer, resumed) {
                    // It is completed there if it was cancelled meanwhile.
                    ControlFlow::Continue(()) => irp.put_back(irql),
                    ControlFlow::Break(result) => self.complete(irp.into_irp(), result, irql),
                }
            });
        }
        self.give_back(irql, Engine::delivered);
        self.start_next(device, irql);
        true
    }

    /// What the watchdog's DPC does: the device has not finished in time, or its interrupt has not come. See [`Verdict`].
    pub fn time_is_up(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) {
        let verdict = self.state.with(irql, |irql, state| self.judge(device, state, irql));
        match verdict {
            None | Some(Verdict::Wait) => return,
            Some(Verdict::Retry) => {
                if self.retry(device, irql) {
                    return;
                }
                self.give_back(irql, Engine::delivered);
            }
            Some(Verdict::Lost) => {
                self.end_in_flight(Error::IO_TIMEOUT, irql);
                self.give_back(irql, Engine::delivered);
            }
            Some(Verdict::Recovered) => {
                self.watchdog.counters.late.count();
                self.give_back(irql, Engine::delivered);
            }
            Some(Verdict::Stuck) => {
                self.end_in_flight(Error::IO_TIMEOUT, irql);
                self.quarantine(device, irql);
            }
            Some(Verdict::Gone) => {
                device.failure.report(irql);
                self.end_in_flight(Error::DEVICE_REMOVED, irql);
                self.quarantine(device, irql);
            }
        }
        self.start_next(device, irql);
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
        let verdict = state.engine.time_is_up(activity, device.parameters.retries());
        if verdict == Verdict::Wait {
            self.watchdog.start(device.parameters.timeout(), irql);
        }
        Some(verdict)
    }

    /// Tells the device the same again; `false` if nobody waits for it any more, or there is no device. Nor is it told while it is held, when it is to come
    /// to an end: the IRP stays in flight, and is begun again when the queue is resumed.
    fn retry(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) -> bool {
        let in_flight = self.queue.take_begun(irql, |irp, irql| irp.put_back(irql));
        in_flight
            && self.state.with(irql, |irql, state| {
                let piece = state.piece.filter(|_| !state.engine.is_held());
                let told = piece.is_some_and(|piece| self.tell(device, piece, irql));
                if told {
                    self.watchdog.counters.retries.count();
                    state.engine.restart();
                }
                told
            })
    }

    /// Ends the IRP in flight, if there is one.
    fn end_in_flight(&self, error: Error, irql: &mut Irql<Dispatch>) {
        self.queue
            .take_begun(irql, |irp, irql| self.complete(irp.into_irp(), Err(error), irql));
    }

    /// Lets the device finish for nobody. The watchdog looks whether it has, and so does the DPC. If that has run since the device was asked it found
    /// nothing to do: so there is a look at once.
    fn quarantine(&self, device: &EduDevice, irql: &mut Irql<Dispatch>) {
        self.state.with(irql, |irql, _| {
            self.watchdog.start(device.parameters.timeout(), irql);
        });
        self.give_back(irql, Engine::quarantine);
        self.take_finished(device, irql);
    }

    fn complete<'i, L: NoLockHeld>(&self, irp: Irp<'i>, result: Result<()>, irql: &mut Irql<L>) -> Disposed<'i> {
        self.counters.count_end(result);
        irp.complete(result, irql)
    }

    /// Gives the engine back, and tells who waits for it to be drained. Returns what `how` does.
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

    /// Queues the CustomDpc. Any IRQL. That it is queued already loses nothing: it has not looked at the device yet, and the time of the interrupt that
    /// it was queued for is the one that counts.
    pub fn queue_dpc(&self, stamp: InterruptStamp) {
        if !self.dpc.queue(stamp, ()) {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Starts nothing from now on. An IRP that has more pieces stays in flight.
    pub fn hold(&self, irql: &mut Irql<Passive>) {
        self.drained.clear(irql);
        self.state.with(irql, |_, state| state.engine.hold());
    }

    /// Waits until the device is finished with its piece, or the watchdog does not wait for it any more. After [`hold`](Self::hold): nothing is begun.
    ///
    /// Not beyond `deadline`: what is in flight then is begun again when the queue is resumed.
    pub fn drain(&self, deadline: Deadline, irql: &mut Irql<Passive>) {
        if !self.is_drained(irql) {
            self.drained.wait(deadline.rest(), irql);
        }
        while !self.is_drained(irql) {
            // Somebody may be seeing to the request just now: that is over soon.
            self.state.with(irql, |_, state| state.engine.abandon());
            sleep(A_MOMENT, irql);
        }
        // The device may go to sleep: nobody looks at it.
        self.watchdog.stop(irql);
    }

    /// Whether nothing is started, and the device works on nothing, not even for nobody.
    pub fn is_idle<L: NoLockHeld>(&self, irql: &mut Irql<L>) -> bool {
        self.state.with(irql, |_, state| state.engine.is_idle())
    }

    fn is_drained<L: NoLockHeld>(&self, irql: &mut Irql<L>) -> bool {
        self.state.with(irql, |_, state| state.engine.is_drained())
    }

    /// Goes on with what was under way, then with what waits, on a device that runs again.
    pub fn resume(&self, device: &EduDevice, irql: &mut Irql<Passive>) {
        self.state.with(irql, |irql, state| {
            let activity = device.registers.with(D::activity).unwrap_or(Activity::Idle);
            state.engine.resume(activity != Activity::Idle);
            state.resumed = state.resumed.wrapping_add(1);
            if state.engine.is_running() {
                self.watchdog.start(device.parameters.timeout(), irql);
            }
        });
        self.start_next(device, irql);
    }

    /// Completes every IRP, those that still come included, with `error`: the device is gone.
    pub fn close(&self, error: Error, irql: &mut Irql<Passive>) {
        self.state.with(irql, |irql, state| {
            state.engine.hold();
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
