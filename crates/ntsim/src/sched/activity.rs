//! What runs on a processor: a thread, a DPC drain or an interrupt, each with a stack of frames.

use std::{cell::Cell, fmt, rc::Rc};

use super::{ThreadId, VirtualTime};
use crate::{
    cpu::Registers,
    ddi::Flow,
    exception::Machinery,
    ke::{Irql, interrupt::Source, region::Regions},
    kernel::Kernel,
    mm::Va,
};

/// A kernel stack in guest memory; it grows down from `top`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The lowest usable address.
    pub limit: Va,
    /// One past the highest.
    pub top: Va,
}

impl Stack {
    /// Whether `va` lies in the stack.
    #[must_use]
    pub fn contains(&self, va: Va) -> bool {
        (self.limit..self.top).contains(&va)
    }
}

/// Which kind of activity it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityKind {
    /// A thread.
    Thread(ThreadId),
    /// The processor's DPC queue being drained.
    Dpc,
    /// An interrupt by another processor.
    Ipi,
    /// An interrupt being serviced.
    Interrupt {
        /// What interrupted.
        source: Source,
    },
}

impl fmt::Display for ActivityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(thread) => write!(f, "{thread}"),
            Self::Dpc => f.write_str("dpc"),
            Self::Ipi => f.write_str("ipi"),
            Self::Interrupt {
                source: Source::Line(line),
            } => write!(f, "irq{line}"),
            Self::Interrupt {
                source: Source::Message(vector),
            } => write!(f, "msi{vector:x}"),
        }
    }
}

/// A guest function being executed, called by the model.
#[derive(Debug)]
pub struct GuestFrame {
    /// Its registers, while it does not run.
    pub registers: Registers,
    /// Where its return value goes.
    pub reply: Rc<Cell<Option<u64>>>,
    /// The instruction that it has executed last; null before the first.
    pub last: Va,
    /// What it is, in the driver author's terms ("DPC", "dispatch routine").
    pub label: &'static str,
    /// The function.
    pub routine: Va,
    /// The stack pointer to have on return.
    pub return_stack_pointer: Va,
    /// The IRQL to have on return, unless it may change.
    pub return_irql: Option<Irql>,
    /// How many spin locks were held on entry.
    pub locks_held: usize,
    /// The regions that the thread was in on entry.
    pub regions: Regions,
}

/// A flow of the model being executed.
pub struct HostFrame {
    /// The flow; absent only while it is being polled.
    pub flow: Option<Flow>,
    /// Its name: a DDI, or the flow at the bottom of a thread.
    pub name: &'static str,
    /// The stack that the flow holds starts here; guest code that it calls goes below.
    pub reserved: Option<Va>,
    /// What part of exception handling it is, if any.
    pub(crate) machinery: Option<Machinery>,
}

impl HostFrame {
    /// A flow.
    #[must_use]
    pub fn new(name: &'static str, flow: Flow) -> Self {
        Self {
            flow: Some(flow),
            name,
            reserved: None,
            machinery: None,
        }
    }
}

impl fmt::Debug for HostFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFrame")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One level of an activity.
#[derive(Debug)]
pub enum Frame {
    /// Guest code.
    Guest(Box<GuestFrame>),
    /// A host flow.
    Host(HostFrame),
}

/// The condition a spinning activity looks at.
pub type SpinCondition = Rc<dyn Fn(&Kernel) -> bool>;

/// A busy wait.
#[derive(Clone)]
pub struct Spin {
    /// When it ends.
    pub until: SpinCondition,
    /// What it waits for, for a hang's report.
    pub why: String,
}

impl fmt::Debug for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spin").field("why", &self.why).finish_non_exhaustive()
    }
}

/// A unit of execution on a processor.
#[derive(Debug)]
pub struct Activity {
    /// What it is.
    pub kind: ActivityKind,
    /// Its frames, outermost first.
    pub frames: Vec<Frame>,
    /// Its stack.
    pub stack: Stack,
    /// Where the outermost guest frame's stack starts: the stack's top, or below an interrupted user of the same stack.
    pub stack_base: Va,
    /// The processor's IRQL to return to when the activity ends or, for a thread, the IRQL it runs at when it goes on.
    pub resume_irql: Irql,
    /// Set while it spins.
    pub spin: Option<Spin>,
    /// The spin locks it holds, in the order acquired.
    pub locks: Vec<Va>,
    /// What its DPC or service routine has taken so far.
    pub routine_time: VirtualTime,
}

impl Activity {
    /// An activity that starts with a host flow.
    #[must_use]
    pub fn new(kind: ActivityKind, name: &'static str, flow: Flow, stack: Stack) -> Self {
        Self {
            kind,
            frames: vec![Frame::Host(HostFrame::new(name, flow))],
            stack,
            stack_base: stack.top,
            resume_irql: Irql::PASSIVE,
            spin: None,
            locks: Vec::new(),
            routine_time: 0,
        }
    }

    /// The innermost guest frame.
    #[must_use]
    pub fn guest(&self) -> Option<&GuestFrame> {
        self.frames.iter().rev().find_map(|frame| match frame {
            Frame::Guest(guest) => Some(&**guest),
            Frame::Host(_) => None,
        })
    }

    /// Whether the innermost guest code has disabled interrupts.
    #[must_use]
    pub fn interrupts_disabled(&self) -> bool {
        self.guest().is_some_and(|guest| !guest.registers.interrupts_enabled())
    }

    /// Where the next guest frame may put its stack.
    #[must_use]
    pub fn stack_pointer(&self) -> Va {
        self.frames
            .iter()
            .rev()
            .find_map(|frame| match frame {
                Frame::Guest(guest) => Some(guest.registers.stack_pointer()),
                Frame::Host(host) => host.reserved,
            })
            .unwrap_or(self.stack_base)
    }
}
