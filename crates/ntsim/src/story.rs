//! The trace as a story: what a person follows, with threads, functions and IRPs by name instead of by address.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    kernel::Kernel,
    mm::Va,
    report::AddressBook,
    sched::ActivityKind,
    trace::{Event, Level, Record},
};

/// Tells the story of a run.
pub struct Story {
    /// Every event as it is, not the story's only.
    everything: bool,
    book: AddressBook,
    functions: BTreeMap<Va, String>,
    /// IRPs by the order in which they appeared. An address is not used twice in a run.
    irps: BTreeMap<Va, usize>,
    queues: BTreeMap<Va, usize>,
    timers: BTreeMap<Va, usize>,
}

impl Story {
    /// A teller, with the [address book](crate::machine::Machine::address_book) of the machine. Without symbols functions are addresses.
    #[must_use]
    pub fn new(book: AddressBook, everything: bool) -> Self {
        Self {
            everything,
            book,
            functions: BTreeMap::new(),
            irps: BTreeMap::new(),
            queues: BTreeMap::new(),
            timers: BTreeMap::new(),
        }
    }

    /// The lines of `records` that belong to the story of the run on `k`.
    #[must_use]
    pub fn tell(&mut self, k: &Kernel, records: &[Record]) -> String {
        let mut text = String::new();
        for record in records {
            // Writing to a string cannot fail.
            if self.everything {
                let _ = writeln!(text, "{record}{}", self.routine(&record.event));
            } else if record.event.level() == Level::Story {
                let _ = writeln!(text, "{}", self.line(k, record));
            }
        }
        text
    }

    fn line(&mut self, k: &Kernel, record: &Record) -> String {
        let processor = record
            .processor
            .map_or_else(String::new, |processor| format!("cpu{processor}"));
        let who = match record.activity {
            Some(ActivityKind::Thread(thread)) => k.thread_name(thread),
            Some(ActivityKind::Dpc) => "DPC".to_owned(),
            Some(ActivityKind::Ipi | ActivityKind::Interrupt { .. }) => "interrupt".to_owned(),
            None => String::new(),
        };
        let (microseconds, nanoseconds) = (record.time / 1000, record.time % 1000);
        let what = self.what(&record.event);
        format!("{microseconds:>7}.{nanoseconds:03} µs  {processor:<4}  {who:<12}  {what}")
    }

    fn what(&mut self, event: &Event) -> String {
        match event {
            Event::DpcStarted { routine, .. } => format!("DPC runs {}", self.function(*routine)),
            Event::TimerExpired { timer } => format!("timer {} expires", number(&mut self.timers, *timer)),
            Event::IrpCreated { irp, what } => format!("IRP {} submitted: {what}", self.irp(*irp)),
            Event::IrpQueued { irp, csq } => format!("IRP {} queued in {}", self.irp(*irp), self.queue(*csq)),
            Event::IrpDequeued { irp, csq } => format!("IRP {} taken off {}", self.irp(*irp), self.queue(*csq)),
            Event::IrpHeld { irp, .. } => format!("IRP {} waits in the device queue", self.irp(*irp)),
            Event::IrpStarted { irp, .. } => format!("StartIo called for IRP {}", self.irp(*irp)),
            Event::IrpCancelRequested { irp, cancellable } => {
                let answer = if *cancellable {
                    "its cancel routine is called"
                } else {
                    "it is not cancellable now"
                };
                format!("IRP {} is to be cancelled: {answer}", self.irp(*irp))
            }
            Event::IrpCompleted {
                irp,
                status,
                information,
                ..
            } => format!(
                "IRP {} completed: {status}, {information} bytes returned",
                self.irp(*irp)
            ),
            other => other.to_string(),
        }
    }

    fn irp(&mut self, irp: Va) -> usize {
        number(&mut self.irps, irp)
    }

    fn queue(&mut self, csq: Va) -> String {
        format!("cancel-safe queue {}", number(&mut self.queues, csq))
    }

    /// The function that an event of the full trace is about.
    fn routine(&mut self, event: &Event) -> String {
        match *event {
            Event::DpcStarted { routine, .. } | Event::Entered { routine, .. } => {
                format!(" ({})", self.function(routine))
            }
            _ => String::new(),
        }
    }

    fn function(&mut self, routine: Va) -> &str {
        let book = &self.book;
        self.functions
            .entry(routine)
            .or_insert_with(|| function_at(book, routine).unwrap_or_else(|| routine.to_string()))
    }
}

/// The number of an address: its place in the order of appearance, from 1.
fn number(seen: &mut BTreeMap<Va, usize>, address: Va) -> usize {
    let next = seen.len() + 1;
    *seen.entry(address).or_insert(next)
}

fn function_at(book: &AddressBook, routine: Va) -> Option<String> {
    // The outermost function is the routine itself; those before it are inlined into it.
    let outermost = book.lines_at(routine).into_iter().next_back()?;
    Some(readable(&outermost.function))
}

/// A Rust path from the name that the PDB has: rustc wraps enums in `enum2$<…>` and the reader of the PDB appends `()`.
fn readable(name: &str) -> String {
    name.trim_end_matches("()").replace("enum2$<", "").replace("> >", ">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_the_pdb_adds() {
        assert_eq!(
            readable("wdm::dpc::trampoline<enum2$<customdpc::ComputeDpc> >()"),
            "wdm::dpc::trampoline<customdpc::ComputeDpc>"
        );
        assert_eq!(readable("DriverEntry()"), "DriverEntry");
    }

    #[test]
    fn numbers_follow_the_order_of_appearance() {
        let mut seen = BTreeMap::new();
        assert_eq!(number(&mut seen, Va(9)), 1);
        assert_eq!(number(&mut seen, Va(5)), 2);
        assert_eq!(number(&mut seen, Va(9)), 1);
    }
}
