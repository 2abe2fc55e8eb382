//! What a broken rule leaves behind: the bug check, where it happened, and how to see it again.

use std::fmt;

use crate::{
    bugcheck::BugCheck,
    image::{GeneralRegisters, SourceLine, SymbolError, Symbols, Unwinder},
    ke::Irql,
    kernel::{Config, Kernel},
    mm::Va,
    sched::{ActivityKind, Frame, GuestFrame, VirtualTime},
    trace::Record,
};

/// One entry of the call stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackEntry {
    /// An instruction of the driver's.
    Guest {
        /// Its address; a return address for every entry but the innermost.
        address: Va,
        /// Its offset in the image, if it lies there.
        rva: Option<u32>,
        /// The instruction is about to run, rather than a call that has not returned.
        innermost: bool,
    },
    /// A kernel routine.
    Kernel(&'static str),
}

/// A stopped machine.
#[derive(Clone, Debug)]
pub struct Crash {
    /// Which rule was broken.
    pub bugcheck: BugCheck,
    /// The run.
    pub config: Config,
    /// When, in virtual nanoseconds.
    pub time: VirtualTime,
    /// On which processor; none when the machine noticed between steps.
    pub processor: Option<usize>,
    /// At which IRQL.
    pub irql: Irql,
    /// In which activity.
    pub activity: Option<ActivityKind>,
    /// The name of the processor's thread.
    pub thread: Option<String>,
    /// The guest's registers, as a table.
    pub registers: Option<String>,
    /// The call stack, innermost first.
    pub stack: Vec<StackEntry>,
}

/// How many entries of a call stack are of interest.
const DEEPEST: usize = 64;

impl Crash {
    /// Looks around in a machine that is about to stop.
    ///
    /// `stack` says where the driver went wrong when that is not where it is now.
    pub(crate) fn capture(k: &Kernel, bugcheck: BugCheck, stack: Option<Vec<StackEntry>>) -> Self {
        let activity = k.activity();
        let registers = k
            .with_activity(|activity| activity.guest().map(|guest| guest.registers.to_string()))
            .flatten();
        let thread = k.current_thread().map(|thread| k.thread_name(thread));
        Self {
            bugcheck,
            config: k.config(),
            time: k.now(),
            processor: k.current_cell().get(),
            irql: k.irql(),
            activity,
            thread,
            registers,
            stack: stack.unwrap_or_else(|| call_stack(k, true)),
        }
    }

    /// The innermost instruction of the driver's: where to look first.
    #[must_use]
    pub fn site(&self) -> Option<u32> {
        self.stack.iter().find_map(|entry| match entry {
            &StackEntry::Guest {
                rva: Some(rva),
                innermost,
                ..
            } => Some(lookup_rva(rva, innermost)),
            _ => None,
        })
    }

    /// The report with source lines from the driver's PDB, if there is one.
    ///
    /// # Errors
    /// When the PDB cannot be read.
    pub fn resolve(&self, symbols: Option<&Symbols>) -> Result<ResolvedStack, SymbolError> {
        let rvas: Vec<u32> = self
            .stack
            .iter()
            .filter_map(|entry| match entry {
                &StackEntry::Guest {
                    rva: Some(rva),
                    innermost,
                    ..
                } => Some(lookup_rva(rva, innermost)),
                _ => None,
            })
            .collect();
        let mut found = match symbols {
            Some(symbols) => symbols.lookup(&rvas)?,
            None => Vec::new(),
        }
        .into_iter();
        let entries = self
            .stack
            .iter()
            .map(|entry| {
                let lines = match entry {
                    StackEntry::Guest { rva: Some(_), .. } => found.next().unwrap_or_default(),
                    _ => Vec::new(),
                };
                (entry.clone(), lines)
            })
            .collect();
        Ok(ResolvedStack { entries })
    }
}

/// A return address belongs to the call before it.
fn lookup_rva(rva: u32, innermost: bool) -> u32 {
    if innermost { rva } else { rva.saturating_sub(1) }
}

/// A call stack with source lines.
#[derive(Clone, Debug)]
pub struct ResolvedStack {
    /// Each entry with its lines, the innermost inlined function first.
    pub entries: Vec<(StackEntry, Vec<SourceLine>)>,
}

impl ResolvedStack {
    /// The source lines of the driver's, innermost first.
    pub fn lines(&self) -> impl Iterator<Item = &SourceLine> {
        self.entries.iter().flat_map(|(_, lines)| lines)
    }
}

impl fmt::Display for ResolvedStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (entry, lines) in &self.entries {
            match entry {
                StackEntry::Kernel(name) => writeln!(f, "    nt!{name}")?,
                StackEntry::Guest { address, rva, .. } if lines.is_empty() => match rva {
                    Some(rva) => writeln!(f, "    {address} (driver+{rva:#x})")?,
                    None => writeln!(f, "    {address}")?,
                },
                StackEntry::Guest { .. } => {
                    for line in lines {
                        write!(f, "    {}", line.function)?;
                        if let Some(file) = &line.file {
                            write!(f, " at {file}")?;
                        }
                        match line.line {
                            Some(number) => writeln!(f, ":{number}")?,
                            None => writeln!(f)?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The call stack of the current activity. `stopped`: the innermost instruction is the one to blame, rather than the next one to run.
pub(crate) fn call_stack(k: &Kernel, stopped: bool) -> Vec<StackEntry> {
    let frames = k
        .with_activity(|activity| {
            let frames = activity.frames.iter().rev();
            frames
                .map(|frame| match frame {
                    Frame::Guest(guest) => FrameSummary::Guest(start_of_walk(guest)),
                    Frame::Host(host) => FrameSummary::Host(host.name),
                })
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    let mut stack = Vec::new();
    for (index, frame) in frames.into_iter().enumerate() {
        match frame {
            FrameSummary::Host(name) => stack.push(StackEntry::Kernel(name)),
            FrameSummary::Guest(registers) => {
                let innermost = index == 0;
                walk(k, registers, innermost, innermost && stopped, &mut stack);
            }
        }
    }
    stack.truncate(DEEPEST);
    stack
}

enum FrameSummary {
    Guest(GeneralRegisters),
    Host(&'static str),
}

fn start_of_walk(guest: &GuestFrame) -> GeneralRegisters {
    GeneralRegisters {
        rip: guest.registers.program_counter().get(),
        general: guest.registers.general(),
    }
}

/// The encoding number of rsp.
const RSP: usize = 4;

fn walk(k: &Kernel, mut registers: GeneralRegisters, innermost: bool, mut running: bool, stack: &mut Vec<StackEntry>) {
    if let Some(ddi) = k.registry().at(Va(registers.rip)) {
        // The host frame of a flow names the routine already.
        if innermost {
            stack.push(StackEntry::Kernel(ddi.name));
        }
        running = false;
        let Some(return_address) = k.peek(Va(registers.general[RSP])) else {
            return;
        };
        registers.rip = return_address;
        registers.general[RSP] += 8;
    }
    let code = k.watch().code.borrow();
    let Some(code) = &*code else {
        stack.push(StackEntry::Guest {
            address: Va(registers.rip),
            rva: None,
            innermost: running,
        });
        return;
    };
    let pcs = Unwinder::new(&code.image).walk(code.base.get(), registers, |va| k.peek(Va(va)), DEEPEST);
    for (index, pc) in pcs.into_iter().enumerate() {
        let address = Va(pc);
        let rva = code.rva(address);
        if rva.is_none() && index > 0 {
            break;
        }
        stack.push(StackEntry::Guest {
            address,
            rva,
            innermost: running && index == 0,
        });
    }
}

/// How many of the last events a report shows.
const LAST_EVENTS: usize = 24;

/// A crash for people to read.
pub struct Report<'a> {
    /// The crash.
    pub crash: &'a Crash,
    /// Its stack.
    pub stack: &'a ResolvedStack,
    /// The trace.
    pub records: &'a [Record],
    /// The command that does it again.
    pub replay: Option<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crash = self.crash;
        writeln!(f, "*** {}", crash.bugcheck.code)?;
        writeln!(f, "{}", crash.bugcheck.message)?;
        let meanings = crash.bugcheck.code.parameters();
        for (value, meaning) in crash.bugcheck.parameters.iter().zip(meanings) {
            writeln!(f, "    {value:#018x}  {meaning}")?;
        }
        writeln!(f, "rule {}", crash.bugcheck.rule)?;
        let activity = crash
            .activity
            .map_or("between steps".to_owned(), |kind| kind.to_string());
        write!(f, "{activity} at {}", crash.irql)?;
        if let Some(processor) = crash.processor {
            write!(f, " on cpu{processor}")?;
        }
        if let Some(thread) = &crash.thread {
            write!(f, ", thread {thread}")?;
        }
        writeln!(f, ", {} ns after the start", crash.time)?;
        writeln!(f, "call stack, innermost first:\n{}", self.stack)?;
        if let Some(registers) = &crash.registers {
            writeln!(f, "{registers}\n")?;
        }
        let first = self.records.len().saturating_sub(LAST_EVENTS);
        writeln!(f, "the last events:")?;
        for record in &self.records[first..] {
            writeln!(f, "{record}")?;
        }
        writeln!(f, "seed {}, {} processors", crash.config.seed, crash.config.processors)?;
        if let Some(replay) = &self.replay {
            writeln!(f, "again: {replay}")?;
        }
        Ok(())
    }
}
