//! Where a cancel hit: what the request was going through at that moment, read from the trace.
//!
//! This is the tests' knowledge of how the driver serves what the device does one at a time, factorials and transfers; the machine has none of it.

use std::collections::{BTreeMap, BTreeSet};

use edu::registers::{self, DMA_COMMAND, DmaCommand, FACTORIAL, INTERRUPT_STATUS, InterruptStatus};
use ntsim::{
    mm::Va,
    trace::{Event, Record},
};

const BAR_SIZE: u64 = registers::BAR_SIZE as u64;

/// The engine of the device that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// It computes factorials.
    Factorial,
    /// It moves bytes.
    Dma,
}

/// What a request goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Its dispatch routine has it, and has not queued it yet.
    Arriving,
    /// It waits for its turn.
    Queued,
    /// The device works for it.
    InFlight,
    /// The ISR has seen that the device has finished, and the CustomDpc has not asked the device yet.
    InterruptToDpc,
    /// It was taken out of the queue, and is not completed yet.
    Completing,
    /// The CustomDpc has seen that one of its pieces is done, and the device has not been told of the next.
    BetweenPieces,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    engine: Engine,
    window: Window,
    /// The how-manieth it was to be put into a queue.
    place: u64,
    is_cancelled: bool,
    /// The device was told of a piece when one of this request's was done. If the request has ended, the piece was another's: whoever ends a request has told
    /// the device of the next one before it is out of the queue.
    may_have_ended: bool,
}

/// The requests under way and what each goes through, as the trace of a machine with one device is read on.
///
/// A control request is known to be a transfer when it is put into a queue that a read or a write was put into before.
#[derive(Debug, Default)]
pub struct Windows {
    requests: BTreeMap<Va, Progress>,
    transfer_queues: BTreeSet<u64>,
    /// How many requests have been put into a queue.
    queued: u64,
    /// How often a cancel hit each window.
    pub cancels: BTreeMap<(Engine, Window), u64>,
}

impl Windows {
    /// What the cancels of a run hit.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let mut windows = Self::default();
        for record in records {
            windows.read(&record.event);
        }
        windows
    }

    /// What the request goes through now, if it is under way.
    #[must_use]
    pub fn window(&self, irp: Va) -> Option<Window> {
        self.requests.get(&irp).map(|progress| progress.window)
    }

    /// Whether a request goes through one of these now.
    #[must_use]
    pub fn any_in(&self, windows: &[Window]) -> bool {
        self.requests
            .values()
            .any(|progress| windows.contains(&progress.window))
    }

    /// Reads on by one event.
    pub fn read(&mut self, event: &Event) {
        match event {
            Event::IrpCreated { irp, what } => {
                let engine = match *what {
                    "IRP_MJ_DEVICE_CONTROL" => Engine::Factorial,
                    "IRP_MJ_READ" | "IRP_MJ_WRITE" => Engine::Dma,
                    _ => return,
                };
                let progress = Progress {
                    engine,
                    window: Window::Arriving,
                    place: 0,
                    is_cancelled: false,
                    may_have_ended: false,
                };
                self.requests.insert(*irp, progress);
            }
            Event::IrpCompleted { irp, .. } => {
                self.requests.remove(irp);
            }
            Event::Called {
                routine: "IoCsqInsertIrp" | "IoCsqInsertIrpEx",
                arguments,
                ..
            } => self.inserted(arguments[0], Va(arguments[1])),
            Event::Returned {
                routine: "IoCsqRemoveNextIrp",
                value,
            } => self.removed(Va(*value)),
            // A BAR is aligned to its size.
            Event::RegisterWritten { address, .. } => match address.0 % BAR_SIZE {
                offset if offset == FACTORIAL as u64 => self.told(Engine::Factorial),
                offset if offset == DMA_COMMAND as u64 => self.told(Engine::Dma),
                _ => {}
            },
            Event::RegisterRead { address, value, .. } if address.0 % BAR_SIZE == INTERRUPT_STATUS as u64 => {
                for (cause, engine) in [
                    (InterruptStatus::FACTORIAL, Engine::Factorial),
                    (InterruptStatus::DMA, Engine::Dma),
                ] {
                    if value & u64::from(cause.bits()) != 0 {
                        self.step(engine, &[Window::InFlight], Window::InterruptToDpc);
                    }
                }
            }
            Event::RegisterRead { address, value, .. }
                if address.0 % BAR_SIZE == DMA_COMMAND as u64 && value & u64::from(DmaCommand::START.bits()) == 0 =>
            {
                self.step(Engine::Dma, &[Window::InterruptToDpc], Window::BetweenPieces);
            }
            Event::IrpCancelRequested { irp, .. } => {
                if let Some(progress) = self.requests.get_mut(irp) {
                    progress.is_cancelled = true;
                    *self.cancels.entry((progress.engine, progress.window)).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn inserted(&mut self, queue: u64, irp: Va) {
        let Some(progress) = self.requests.get_mut(&irp) else {
            return;
        };
        if progress.engine == Engine::Dma {
            self.transfer_queues.insert(queue);
        } else if self.transfer_queues.contains(&queue) {
            progress.engine = Engine::Dma;
        }
        self.queued += 1;
        progress.place = self.queued;
        progress.window = Window::Queued;
    }

    fn removed(&mut self, irp: Va) {
        let progress = self.requests.get_mut(&irp);
        let engine = progress
            .filter(|progress| progress.may_have_ended)
            .map(|progress| progress.engine);
        if let Some(engine) = engine {
            self.begin_first(engine);
        }
        if let Some(progress) = self.requests.get_mut(&irp) {
            progress.window = Window::Completing;
        }
        for progress in self.requests.values_mut() {
            progress.may_have_ended = false;
        }
    }

    /// The device was told to begin: with the same piece again, with the next piece of a request, or with the first request that waits.
    fn told(&mut self, engine: Engine) {
        let mut of_engine = self.requests.values_mut().filter(|progress| progress.engine == engine);
        let at_work = [Window::InFlight, Window::InterruptToDpc, Window::BetweenPieces];
        let Some(current) = of_engine.find(|progress| at_work.contains(&progress.window)) else {
            return self.begin_first(engine);
        };
        if current.window == Window::InFlight {
            return;
        }
        current.window = Window::InFlight;
        current.may_have_ended = true;
    }

    /// The first request that waits is the one that the device was told of.
    fn begin_first(&mut self, engine: Engine) {
        let of_engine = self.requests.values_mut().filter(|progress| progress.engine == engine);
        let waiting = of_engine.filter(|progress| progress.window == Window::Queued && !progress.is_cancelled);
        if let Some(first) = waiting.min_by_key(|progress| progress.place) {
            first.window = Window::InFlight;
        }
    }

    fn step(&mut self, engine: Engine, from: &[Window], to: Window) {
        for progress in self.requests.values_mut() {
            if progress.engine == engine && from.contains(&progress.window) {
                progress.window = to;
            }
        }
    }
}
