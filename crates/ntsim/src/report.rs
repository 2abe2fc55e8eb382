//! What a broken rule leaves behind: the bug check, where it happened, and how to see it again.

mod addresses;

use std::{fmt, rc::Rc};

pub use addresses::AddressBook;

use crate::{
    bugcheck::BugCheck,
    image::{GeneralRegisters, SourceLine, Unwinder},
    ke::Irql,
    kernel::{Config, Kernel},
    machine::imports,
    mm::Va,
    sched::{Activity, ActivityKind, Frame, GuestFrame, VirtualTime},
    trace::Record,
    verifier::rules,
};

/// One entry of the call stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackEntry {
    /// An instruction of the driver's.
    Guest {
        /// Its address; a return address for every entry but the innermost.
        address: Va,
        /// Its offset in its image, if it lies in one.
        rva: Option<u32>,
        /// The name of that image.
        image: Option<Rc<str>>,
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
    /// Other call stacks that have to do with it.
    pub notes: Vec<Note>,
}

/// A call stack from before the crash that has to do with it: where something was allocated that now leaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What happened there.
    pub what: String,
    /// The call stack, innermost first.
    pub stack: Vec<StackEntry>,
}

/// How many objects that the message of a bug check names are said where they were made.
const MOST_NOTES: usize = 8;

/// Where the objects were made and freed whose addresses are in `message`.
fn notes_on(k: &Kernel, message: &str) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for (_, address) in addresses::addresses(message) {
        let made = k.made_at(address).map(|site| (format!("{address} was made by"), site));
        let freed = k
            .freed_at(address)
            .map(|site| (format!("{address} was freed by"), site));
        let used = k.used_at(address).map(|caller| {
            let stack = vec![guest_entry(k, caller, false)];
            (format!("{address} was last used by"), stack)
        });
        let sites = made.into_iter().chain(freed);
        let stacks = sites.map(|(what, site)| (what, site.stack().to_vec())).chain(used);
        for (what, stack) in stacks {
            if notes.len() < MOST_NOTES && notes.iter().all(|note| note.what != what) {
                notes.push(Note { what, stack });
            }
        }
    }
    notes
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
        let mut notes = bugcheck.notes.clone();
        notes.extend(notes_on(k, &bugcheck.message));
        Self {
            notes,
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

    /// The instruction that was about to run, when the driver itself was stopped.
    fn exact(&self) -> Option<Va> {
        match self.stack.first() {
            Some(&StackEntry::Guest {
                address,
                innermost: true,
                ..
            }) => Some(address),
            _ => None,
        }
    }

    /// The call stack with source lines.
    #[must_use]
    pub fn resolve(&self, book: &AddressBook) -> ResolvedStack {
        ResolvedStack::of(&self.stack, book)
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
    /// A call stack with source lines.
    #[must_use]
    pub fn of(stack: &[StackEntry], book: &AddressBook) -> Self {
        let entries = stack.iter();
        Self {
            entries: entries.map(|entry| (entry.clone(), book.lines_of(entry))).collect(),
        }
    }

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
                StackEntry::Guest {
                    address, rva, image, ..
                } if lines.is_empty() => match (rva, image) {
                    (Some(rva), Some(image)) => writeln!(f, "    {address} ({image}+{rva:#x})")?,
                    _ => writeln!(f, "    {address}")?,
                },
                StackEntry::Guest { .. } => {
                    for line in lines {
                        writeln!(f, "    {line}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The call stack of the current activity. `stopped`: the innermost instruction is the one to blame, rather than the next one to run.
pub(crate) fn call_stack(k: &Kernel, stopped: bool) -> Vec<StackEntry> {
    call_stack_of(k, stopped, DEEPEST)
}

/// The same, of `limit` entries at most.
pub(crate) fn call_stack_of(k: &Kernel, stopped: bool, limit: usize) -> Vec<StackEntry> {
    let frames = k.with_activity(|activity| summaries(activity)).unwrap_or_default();
    stack_of_frames(k, frames, stopped, limit)
}

/// The call stack of any activity.
pub(crate) fn stack_of(k: &Kernel, activity: &Activity, stopped: bool) -> Vec<StackEntry> {
    stack_of_frames(k, summaries(activity), stopped, DEEPEST)
}

fn summaries(activity: &Activity) -> Vec<FrameSummary> {
    let frames = activity.frames.iter().rev();
    frames
        .map(|frame| match frame {
            Frame::Guest(guest) => FrameSummary::Guest(start_of_walk(guest)),
            Frame::Host(host) => FrameSummary::Host(host.name),
        })
        .collect()
}

fn stack_of_frames(k: &Kernel, frames: Vec<FrameSummary>, stopped: bool, limit: usize) -> Vec<StackEntry> {
    let mut stack = Vec::new();
    for (index, frame) in frames.into_iter().enumerate() {
        if stack.len() >= limit {
            break;
        }
        match frame {
            FrameSummary::Host(name) => stack.push(StackEntry::Kernel(name)),
            FrameSummary::Guest(registers) => {
                let innermost = index == 0;
                walk(k, registers, innermost, innermost && stopped, limit, &mut stack);
            }
        }
    }
    stack.truncate(limit);
    stack
}

/// The call stack of the current activity, below an instruction of the driver's that is to blame and has run before.
pub(crate) fn stack_from(k: &Kernel, address: Va) -> Vec<StackEntry> {
    let mut stack = vec![guest_entry(k, address, true)];
    stack.extend(call_stack(k, false));
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

fn walk(
    k: &Kernel,
    mut registers: GeneralRegisters,
    innermost: bool,
    mut running: bool,
    limit: usize,
    stack: &mut Vec<StackEntry>,
) {
    let (ddi, unmodelled) = (
        k.registry().at(Va(registers.rip)),
        imports::is_unmodelled(Va(registers.rip)),
    );
    if ddi.is_some() || unmodelled {
        // The host frame of a flow names the routine already.
        if let Some(ddi) = ddi.filter(|_| innermost) {
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
    let images = code.iter().map(|code| (code.base.get(), &*code.image));
    let pcs = Unwinder::new(images).walk(registers, |va| k.peek(Va(va)), limit);
    drop(code);
    for (index, pc) in pcs.into_iter().enumerate() {
        let entry = guest_entry(k, Va(pc), running && index == 0);
        if matches!(entry, StackEntry::Guest { rva: None, .. }) && index > 0 {
            break;
        }
        stack.push(entry);
    }
}

/// The entry of an instruction. `innermost`: it is about to run, rather than where a call returns to.
pub(crate) fn guest_entry(k: &Kernel, address: Va, innermost: bool) -> StackEntry {
    let code = k.watch().code.borrow();
    let code = code.at(address);
    StackEntry::Guest {
        address,
        rva: code.and_then(|code| code.rva(address)),
        image: code.map(|code| code.image.shared_name()),
        innermost,
    }
}

/// Where Microsoft's driver documentation is.
const DOCUMENTATION: &str = "https://learn.microsoft.com/windows-hardware/drivers/";

/// How many of the last events a report shows.
const LAST_EVENTS: usize = 24;

/// A crash for people to read.
pub struct Report<'a> {
    /// The crash.
    pub crash: &'a Crash,
    /// What its addresses mean.
    pub book: &'a AddressBook,
    /// The trace.
    pub records: &'a [Record],
    /// The command that does it again.
    pub replay: Option<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (crash, book) = (self.crash, self.book);
        writeln!(f, "*** {}", crash.bugcheck.code)?;
        writeln!(f, "{}", book.annotate(&crash.bugcheck.message, crash.exact()))?;
        if crash.bugcheck.code.is_of_windows() {
            let meanings = crash.bugcheck.code.parameters();
            for (value, meaning) in crash.bugcheck.parameters.iter().zip(meanings) {
                writeln!(f, "    {value:#018x}  {meaning}")?;
            }
        }
        match rules::find(crash.bugcheck.rule) {
            Some(rule) => {
                writeln!(f, "rule {} ({})", rule.name, rule.setting)?;
                writeln!(f, "what to do: {}", rule.advice)?;
                writeln!(f, "documentation: {DOCUMENTATION}{}", rule.page)?;
            }
            None => writeln!(f, "rule {}", crash.bugcheck.rule)?,
        }
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
        writeln!(f, "call stack, innermost first:\n{}", crash.resolve(book))?;
        for note in &crash.notes {
            let what = book.annotate(&note.what, None);
            writeln!(f, "{what}:\n{}", ResolvedStack::of(&note.stack, book))?;
        }
        for problem in book.problems() {
            writeln!(f, "no source lines: {problem}")?;
        }
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
