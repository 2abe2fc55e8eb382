//! Where a cancel hit: what the request was going through at that moment, read from the trace.
//!
//! This is the tests' knowledge of how the driver serves what the device does one at a time, factorials and transfers; the machine has none of it.

use std::collections::{BTreeMap, BTreeSet};

use edu::registers::{self, DMA_COMMAND, FACTORIAL, INTERRUPT_STATUS, InterruptStatus};
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
    /// It was taken off the queue, and the device has not been told.
    Starting,
    /// The device works for it.
    InFlight,
    /// The ISR has seen that the device has finished, and the CustomDpc has not taken the request yet.
    InterruptToDpc,
    /// The CustomDpc has taken it, and it is not completed yet.
    Completing,
    /// One of its pieces is done, and the device has not been told of the next.
    BetweenPieces,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    engine: Engine,
    window: Window,
}

/// The requests under way and what each goes through, as the trace of a machine with one device is read on.
///
/// A control request is known to be a transfer when it is put into a queue that a read or a write was put into before.
#[derive(Debug, Default)]
pub struct Windows {
    requests: BTreeMap<Va, Progress>,
    transfer_queues: BTreeSet<u64>,
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

    /// Reads on by one event.
    pub fn read(&mut self, event: &Event) {
        match event {
            Event::IrpCreated { irp, what } => {
                let engine = match *what {
                    "IRP_MJ_DEVICE_CONTROL" => Engine::Factorial,
                    "IRP_MJ_READ" | "IRP_MJ_WRITE" => Engine::Dma,
                    _ => return,
                };
                let window = Window::Arriving;
                self.requests.insert(*irp, Progress { engine, window });
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
            Event::IrpCancelRequested { irp, .. } => {
                if let Some(Progress { engine, window }) = self.requests.get(irp) {
                    *self.cancels.entry((*engine, *window)).or_default() += 1;
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
        progress.window = match progress.window {
            Window::Arriving => Window::Queued,
            // Back among those in flight.
            Window::Completing => Window::BetweenPieces,
            other => other,
        };
    }

    /// Off the queue of those that wait the first time; out of flight after that.
    fn removed(&mut self, irp: Va) {
        if let Some(progress) = self.requests.get_mut(&irp) {
            progress.window = match progress.window {
                Window::Queued => Window::Starting,
                Window::BetweenPieces => Window::BetweenPieces,
                _ => Window::Completing,
            };
        }
    }

    /// The device was told to begin. At most one request at a time is that far.
    fn told(&mut self, engine: Engine) {
        self.step(engine, &[Window::Starting, Window::BetweenPieces], Window::InFlight);
    }

    fn step(&mut self, engine: Engine, from: &[Window], to: Window) {
        for progress in self.requests.values_mut() {
            if progress.engine == engine && from.contains(&progress.window) {
                progress.window = to;
            }
        }
    }
}
