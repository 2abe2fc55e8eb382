//! Threads.

use std::{cell::Cell, fmt, rc::Rc};

use super::{Activity, VirtualTime, Woken};
use crate::{ke::region::Regions, mm::Va};

/// Which thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub usize);

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread{}", self.0)
    }
}

/// `KPROCESSOR_MODE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `KernelMode`: a system thread.
    #[default]
    Kernel,
    /// `UserMode`: a thread of a program.
    User,
}

/// What a new thread is to be.
#[derive(Clone, Debug)]
pub struct ThreadSpec {
    /// Its name in traces and reports.
    pub name: String,
    /// Whether it belongs to a program.
    pub mode: Mode,
}

impl ThreadSpec {
    /// A system thread.
    #[must_use]
    pub fn system(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mode: Mode::Kernel,
        }
    }

    /// A program's thread.
    #[must_use]
    pub fn user(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mode: Mode::User,
        }
    }
}

/// What a thread waits for.
#[derive(Debug)]
pub struct Wait {
    /// In words.
    pub why: String,
    /// When the wait ends without a wake-up.
    pub deadline: Option<VirtualTime>,
    /// Where the waiting flow finds out how the wait ended.
    pub reply: Rc<Cell<Option<Woken>>>,
}

/// Where a thread is.
#[derive(Debug)]
pub enum ThreadState {
    /// Could run; its activity is parked here.
    Ready(Box<Activity>),
    /// On a processor, which holds its activity.
    Running,
    /// Waits; its activity is parked here.
    Waiting(Box<Activity>, Wait),
    /// Has ended.
    Terminated,
}

/// A thread.
#[derive(Debug)]
pub struct Thread {
    /// Its name.
    pub name: String,
    /// Kernel or user mode.
    pub mode: Mode,
    /// Where it is.
    pub state: ThreadState,
    /// Its KTHREAD in guest memory.
    pub object: Va,
    /// The critical and guarded regions that it is in.
    pub regions: Regions,
    /// The processors that it may run on, a bit each.
    pub affinity: u64,
    /// A driver has created it: it does not keep the machine running when nobody else is left.
    pub of_driver: bool,
    /// Whether other threads take its processor from it.
    pub is_preempted: bool,
    /// Threads to wake when it ends.
    pub joiners: Vec<ThreadId>,
}
