//! Where a cancel hit: what the request was going through at that moment, read from the trace.
//!
//! This is the test's knowledge of how the driver serves a factorial; the machine has none of it.

use std::collections::BTreeMap;

use edu::registers::{self, FACTORIAL};
use ntsim::{
    mm::Va,
    trace::{Event, Record},
};

const BAR_SIZE: u64 = registers::BAR_SIZE as u64;

/// What a request for a factorial goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Its dispatch routine has it, and has not queued it yet.
    Arriving,
    /// It waits for its turn.
    Queued,
    /// It was taken off the queue, and the device has not been told.
    Starting,
    /// The device computes.
    Computing,
    /// The device's interrupt was delivered, and the CustomDpc has not taken the request yet.
    InterruptToDpc,
    /// The CustomDpc has taken it, and it is not completed yet.
    Completing,
}

/// The requests under way and what each goes through, as a trace is read on.
#[derive(Debug, Default)]
pub struct Windows {
    requests: BTreeMap<Va, Window>,
    /// How often a cancel hit each window.
    pub cancels: BTreeMap<Window, u64>,
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
        self.requests.get(&irp).copied()
    }

    /// Reads on by one event.
    pub fn read(&mut self, event: &Event) {
        match event {
            Event::IrpCreated { irp, what } if *what == "IRP_MJ_DEVICE_CONTROL" => {
                self.requests.insert(*irp, Window::Arriving);
            }
            Event::IrpCompleted { irp, .. } => {
                self.requests.remove(irp);
            }
            Event::Called {
                routine: "IoCsqInsertIrp",
                arguments,
                ..
            } => self.step(Va(arguments[1]), Window::Arriving, Window::Queued),
            // Off the queue of those that wait the first time; out of flight the second time.
            Event::Returned {
                routine: "IoCsqRemoveNextIrp",
                value,
            } => match self.requests.get(&Va(*value)) {
                Some(Window::Queued) => self.step(Va(*value), Window::Queued, Window::Starting),
                Some(_) => {
                    self.requests.insert(Va(*value), Window::Completing);
                }
                None => {}
            },
            // A BAR is aligned to its size.
            Event::RegisterWritten { address, .. } if address.0 % BAR_SIZE == FACTORIAL as u64 => {
                self.step_all(Window::Starting, Window::Computing);
            }
            // The device is the only one on its line.
            Event::InterruptDelivered { .. } => self.step_all(Window::Computing, Window::InterruptToDpc),
            Event::IrpCancelRequested { irp, .. } => {
                if let Some(window) = self.requests.get(irp) {
                    *self.cancels.entry(*window).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, irp: Va, from: Window, to: Window) {
        if let Some(window) = self.requests.get_mut(&irp)
            && *window == from
        {
            *window = to;
        }
    }

    /// At most one request at a time is in any of the windows that the device has a part in.
    fn step_all(&mut self, from: Window, to: Window) {
        for window in self.requests.values_mut() {
            if *window == from {
                *window = to;
            }
        }
    }
}
