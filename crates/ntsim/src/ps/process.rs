//! Which process each thread belongs to.
//!
//! System threads belong to the System process. A program's first thread makes a process; threads that a program's thread creates belong to
//! the same one.

use std::collections::BTreeMap;

use ntlayout::dispatcher_header as header;

use crate::{
    bugcheck::Outcome,
    ke,
    kernel::Kernel,
    mm::Va,
    ob::{self, object::Type},
    sched::{Mode, ThreadId, VirtualTime},
    status::NtStatus,
};

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub usize);

impl ProcessId {
    /// The System process.
    pub const SYSTEM: Self = Self(0);
}

/// What is known of a process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its name: that of its first thread.
    pub name: String,
    /// Its EPROCESS, once somebody has asked for it.
    pub object: Va,
    /// Its threads that have not ended.
    pub threads: Vec<ThreadId>,
    /// The process that created it.
    pub parent: ProcessId,
    /// When it was created, in virtual time.
    pub created: VirtualTime,
    /// When it ended, and with what status.
    pub exited: Option<(VirtualTime, NtStatus)>,
}

/// All processes.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    of_thread: BTreeMap<ThreadId, ProcessId>,
    pub all: BTreeMap<ProcessId, Process>,
    /// Threads that have attached to another process, and to which.
    pub attached: BTreeMap<ThreadId, ProcessId>,
    count: usize,
}

/// Offset of `ImageFileName` in an EPROCESS: what `PsGetProcessImageFileName` points to.
pub(super) const IMAGE_FILE_NAME: usize = 0x5A8;
/// How many characters of a name are there, before a terminator.
const IMAGE_FILE_NAME_LENGTH: usize = 14;

/// Bytes set aside for an EPROCESS. Apart from its dispatcher header, its contents are the system's own business.
const EPROCESS_SIZE: usize = 0xB80;
/// `ProcessObject` of `KOBJECTS`.
const PROCESS_OBJECT: u8 = 3;
/// The number of the System process; others follow in steps of four.
const SYSTEM_NUMBER: u64 = 4;
/// The number of the first program's process. Threads have numbers of their own, from below.
const FIRST_NUMBER: u64 = 0x8_0000;

/// A thread has been created by the current thread, if there is one.
pub(crate) fn thread_created(k: &Kernel, thread: ThreadId, mode: Mode) {
    let creator = k
        .current_thread()
        .map_or(ProcessId::SYSTEM, |creator| of_thread(k, creator));
    let name = k.thread_name(thread);
    let now = k.now();
    let processes = k.state::<Processes>();
    let mut processes = processes.borrow_mut();
    let process = match (mode, creator) {
        (Mode::Kernel, _) => ProcessId::SYSTEM,
        (Mode::User, ProcessId::SYSTEM) => {
            processes.count += 1;
            ProcessId(processes.count)
        }
        (Mode::User, process) => process,
    };
    processes.of_thread.insert(thread, process);
    let found = processes.all.entry(process).or_insert_with(|| Process {
        name: if process == ProcessId::SYSTEM {
            "System".to_owned()
        } else {
            name
        },
        object: Va::NULL,
        threads: Vec::new(),
        parent: creator,
        created: now,
        exited: None,
    });
    found.threads.push(thread);
    drop(processes);
    if process != ProcessId::SYSTEM {
        k.watch().user.borrow_mut().set_context(thread, process);
    }
}

/// The thread counts as one of `process` from now on.
pub(super) fn set_member(k: &Kernel, thread: ThreadId, process: ProcessId) {
    k.state::<Processes>().borrow_mut().of_thread.insert(thread, process);
}

/// A thread has ended, and its process with its last thread.
pub(crate) fn thread_ended(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    let process = of_thread(k, thread);
    let now = k.now();
    let ended = {
        let processes = k.state::<Processes>();
        let mut processes = processes.borrow_mut();
        let Some(found) = processes.all.get_mut(&process) else {
            return Ok(());
        };
        found.threads.retain(|&other| other != thread);
        let ended = found.threads.is_empty() && process != ProcessId::SYSTEM && found.exited.is_none();
        if ended {
            found.exited = Some((now, NtStatus::SUCCESS));
        }
        ended.then_some(found.object)
    };
    // Waits for the process are satisfied.
    match ended.filter(|object| !object.is_null()) {
        Some(object) => ke::event::set(k, object).map(|_| ()),
        None => Ok(()),
    }
}

/// The process that a thread belongs to.
#[must_use]
pub fn of_thread(k: &Kernel, thread: ThreadId) -> ProcessId {
    let processes = k.state::<Processes>();
    let processes = processes.borrow();
    processes.of_thread.get(&thread).copied().unwrap_or(ProcessId::SYSTEM)
}

/// The process that the current thread has attached to, or its own; the System process where there is no thread.
#[must_use]
pub fn current(k: &Kernel) -> ProcessId {
    let Some(thread) = k.current_thread() else {
        return ProcessId::SYSTEM;
    };
    let attached = k.state::<Processes>().borrow().attached.get(&thread).copied();
    attached.unwrap_or_else(|| of_thread(k, thread))
}

/// The KTHREAD of the current thread.
pub(crate) fn current_thread_object(k: &Kernel) -> Va {
    k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread))
}

/// The EPROCESS of a process.
///
/// # Errors
/// When the machine has stopped.
pub fn object(k: &Kernel, process: ProcessId) -> Outcome<Va> {
    let known = find(k, process).map_or(Va::NULL, |found| found.object);
    if !known.is_null() {
        return Ok(known);
    }
    let object = k.allocate_system(EPROCESS_SIZE, "EPROCESS")?;
    k.write(object + header::TYPE, PROCESS_OBJECT)?;
    let list = object + header::WAIT_LIST_HEAD;
    k.write(list, list)?;
    k.write(list + 8_u64, list)?;
    let processes = k.state::<Processes>();
    let mut processes = processes.borrow_mut();
    let now = k.now();
    let found = processes.all.entry(process).or_insert_with(|| Process {
        name: "System".to_owned(),
        object: Va::NULL,
        threads: Vec::new(),
        parent: ProcessId::SYSTEM,
        created: now,
        exited: None,
    });
    found.object = object;
    let exited = found.exited.is_some();
    drop(processes);
    k.write(object + header::SIGNAL_STATE, i32::from(exited))?;
    let name = image_name(k, process);
    let bytes: Vec<u8> = name.bytes().take(IMAGE_FILE_NAME_LENGTH).collect();
    k.write_bytes(object + IMAGE_FILE_NAME, &bytes)?;
    ob::object::adopt_foreign(k, object, Type::Process);
    Ok(object)
}

/// What is known of a process.
pub(crate) fn find(k: &Kernel, process: ProcessId) -> Option<Process> {
    k.state::<Processes>().borrow().all.get(&process).cloned()
}

/// The process whose EPROCESS lies at `object`.
pub(crate) fn by_object(k: &Kernel, object: Va) -> Option<ProcessId> {
    let processes = k.state::<Processes>();
    let processes = processes.borrow();
    let mut all = processes.all.iter();
    all.find_map(|(&process, found)| (found.object == object && !object.is_null()).then_some(process))
}

/// The name of a process's image: the program's, with `.exe`.
pub(super) fn image_name(k: &Kernel, process: ProcessId) -> String {
    match find(k, process) {
        Some(found) if process != ProcessId::SYSTEM => format!("{}.exe", found.name),
        _ => "System".to_owned(),
    }
}

/// The path of a process's image; the System process has none.
pub(super) fn image_path(k: &Kernel, process: ProcessId) -> Option<String> {
    let volume = ob::namespace::VOLUME;
    (process != ProcessId::SYSTEM).then(|| format!("{volume}\\Programs\\{}", image_name(k, process)))
}

/// The number that a process is known by: `PsGetProcessId`.
#[must_use]
pub const fn number(process: ProcessId) -> u64 {
    if process.0 == 0 {
        SYSTEM_NUMBER
    } else {
        FIRST_NUMBER + (process.0 as u64 - 1) * 4
    }
}

/// The process with a number.
pub(crate) fn by_number(k: &Kernel, asked: u64) -> Option<ProcessId> {
    let processes = k.state::<Processes>();
    let processes = processes.borrow();
    if asked == SYSTEM_NUMBER {
        return Some(ProcessId::SYSTEM);
    }
    processes.all.keys().copied().find(|&process| number(process) == asked)
}
