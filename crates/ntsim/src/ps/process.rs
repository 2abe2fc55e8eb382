//! Which process each thread belongs to.
//!
//! System threads belong to the System process. A program's first thread makes a process; threads that a program's thread creates belong to
//! the same one.

use std::collections::BTreeMap;

use crate::{
    kernel::Kernel,
    sched::{Mode, ThreadId},
};

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub usize);

impl ProcessId {
    /// The System process.
    pub const SYSTEM: Self = Self(0);
}

/// Which process each program's thread belongs to.
#[derive(Debug, Default)]
struct Members {
    processes: BTreeMap<ThreadId, ProcessId>,
    count: usize,
}

/// A thread has been created by the current thread, if there is one.
pub(crate) fn thread_created(k: &Kernel, thread: ThreadId, mode: Mode) {
    if mode == Mode::Kernel {
        return;
    }
    let creator = k.current_thread().map(|creator| of_thread(k, creator));
    let members = k.state::<Members>();
    let mut members = members.borrow_mut();
    let process = match creator {
        Some(process) if process != ProcessId::SYSTEM => process,
        _ => {
            members.count += 1;
            ProcessId(members.count)
        }
    };
    members.processes.insert(thread, process);
}

/// The process that a thread belongs to.
#[must_use]
pub fn of_thread(k: &Kernel, thread: ThreadId) -> ProcessId {
    let members = k.state::<Members>();
    let members = members.borrow();
    members.processes.get(&thread).copied().unwrap_or(ProcessId::SYSTEM)
}

/// The process of the current thread; the System process where there is none.
#[must_use]
pub fn current(k: &Kernel) -> ProcessId {
    k.current_thread()
        .map_or(ProcessId::SYSTEM, |thread| of_thread(k, thread))
}
