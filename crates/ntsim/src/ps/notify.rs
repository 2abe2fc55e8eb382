//! Routines that are called when processes and threads begin and end, and when images are loaded: `PsSetCreateProcessNotifyRoutine` and
//! its kin.
//!
//! A process begins when its first thread does. On Windows the creator's thread calls the routines; here the new thread does, before it
//! becomes one of the new process: routines see the parent as the current process, as they do on Windows.

use super::{
    process::{self, ProcessId},
    thread,
};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    rtl::unicode_string,
    sched::ThreadId,
    status::NtStatus,
};

/// The most routines of each kind.
const MOST: usize = 64;

/// Offsets in `PS_CREATE_NOTIFY_INFO`, and its size.
mod create_info {
    pub const SIZE: usize = 72;
    pub const FLAGS: usize = 8;
    pub const PARENT: usize = 16;
    pub const CREATING_PROCESS: usize = 24;
    pub const CREATING_THREAD: usize = 32;
    pub const IMAGE_FILE_NAME: usize = 48;
    pub const COMMAND_LINE: usize = 56;
    pub const STATUS: usize = 64;
}

/// Offsets in `IMAGE_INFO`, and its size.
mod image_info {
    pub const SIZE: usize = 40;
    pub const BASE: usize = 8;
    pub const SIZE_FIELD: usize = 24;
    /// `ImageAddressingMode` 3 (native), `SystemModeImage`.
    pub const PROPERTIES: u32 = 0x103;
}

/// What a routine is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Process,
    /// By `PsSetCreateProcessNotifyRoutineEx`: with the EPROCESS and a `PS_CREATE_NOTIFY_INFO`.
    ProcessEx,
    Thread,
    Image,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Process | Self::ProcessEx => "process",
            Self::Thread => "thread",
            Self::Image => "load-image",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Routine {
    kind: Kind,
    address: Va,
    by: Va,
}

/// All routines, in the order of their registration.
#[derive(Debug, Default)]
struct Routines {
    all: Vec<Routine>,
}

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_PS_PASSIVE);
    // (NotifyRoutine, Remove)
    for (name, kind) in [
        ("PsSetCreateProcessNotifyRoutine", Kind::Process),
        ("PsSetCreateProcessNotifyRoutineEx", Kind::ProcessEx),
    ] {
        ddi.function(name, 2, passive, move |k, a| Ok(set(k, kind, a.va(0), a.bool(1))));
    }
    // (NotifyType, NotifyInformation, Remove): PsCreateProcessNotifySubsystems is all there is.
    ddi.function("PsSetCreateProcessNotifyRoutineEx2", 3, passive, |k, a| {
        Ok(match a.u32(0) {
            0 => set(k, Kind::ProcessEx, a.va(1), a.bool(2)),
            _ => NtStatus::INVALID_PARAMETER,
        })
    });
    ddi.function("PsSetCreateThreadNotifyRoutine", 1, passive, |k, a| {
        Ok(set(k, Kind::Thread, a.va(0), false))
    });
    // (NotifyType, NotifyInformation): PsCreateThreadNotifyNonSystem and PsCreateThreadNotifySubsystems.
    ddi.function("PsSetCreateThreadNotifyRoutineEx", 2, passive, |k, a| match a.u32(0) {
        1 => Ok(set(k, Kind::Thread, a.va(1), false)),
        0 => Err(k.not_modelled(
            "PsSetCreateThreadNotifyRoutineEx with PsCreateThreadNotifyNonSystem is not modelled: use PsSetCreateThreadNotifyRoutine",
        )),
        _ => Ok(NtStatus::INVALID_PARAMETER),
    });
    ddi.function("PsRemoveCreateThreadNotifyRoutine", 1, passive, |k, a| {
        Ok(remove(k, Kind::Thread, a.va(0), NtStatus::PROCEDURE_NOT_FOUND))
    });
    ddi.function("PsSetLoadImageNotifyRoutine", 1, passive, |k, a| {
        Ok(set(k, Kind::Image, a.va(0), false))
    });
    // (NotifyRoutine, Flags)
    ddi.function("PsSetLoadImageNotifyRoutineEx", 2, passive, |k, a| {
        Ok(match a.u64(1) {
            0 | 1 => set(k, Kind::Image, a.va(0), false),
            _ => NtStatus::INVALID_PARAMETER,
        })
    });
    ddi.function("PsRemoveLoadImageNotifyRoutine", 1, passive, |k, a| {
        Ok(remove(k, Kind::Image, a.va(0), NtStatus::PROCEDURE_NOT_FOUND))
    });
}

fn set(k: &Kernel, kind: Kind, address: Va, take_away: bool) -> NtStatus {
    if take_away {
        return remove(k, kind, address, NtStatus::INVALID_PARAMETER);
    }
    let routines = k.state::<Routines>();
    let mut routines = routines.borrow_mut();
    let of_kind = routines.all.iter().filter(|routine| routine.kind.name() == kind.name());
    let full = of_kind.count() >= MOST;
    let known = routines
        .all
        .iter()
        .any(|routine| routine.kind == kind && routine.address == address);
    if kind.name() == Kind::Process.name() && (full || known) {
        return NtStatus::INVALID_PARAMETER;
    }
    if full {
        return NtStatus::INSUFFICIENT_RESOURCES;
    }
    routines.all.push(Routine {
        kind,
        address,
        by: k.caller(),
    });
    drop(routines);
    k.note_made(address);
    NtStatus::SUCCESS
}

fn remove(k: &Kernel, kind: Kind, address: Va, absent: NtStatus) -> NtStatus {
    let routines = k.state::<Routines>();
    let mut routines = routines.borrow_mut();
    let found = routines
        .all
        .iter()
        .position(|routine| routine.kind == kind && routine.address == address);
    match found {
        Some(index) => {
            routines.all.remove(index);
            NtStatus::SUCCESS
        }
        None => absent,
    }
}

fn of(k: &Kernel, kinds: &[Kind]) -> Vec<Routine> {
    let routines = k.state::<Routines>();
    let routines = routines.borrow();
    let wanted = routines.all.iter().filter(|routine| kinds.contains(&routine.kind));
    wanted.copied().collect()
}

/// A thread begins to run: its process, if it is the first of one, and the thread are announced.
pub(crate) async fn begins(k: &Kernel) -> Outcome<()> {
    let Some(thread) = k.current_thread() else {
        return Ok(());
    };
    let process = process::of_thread(k, thread);
    if k.state::<Routines>().borrow().all.is_empty() {
        return Ok(());
    }
    let parent = process::find(k, process).map_or(ProcessId::SYSTEM, |found| found.parent);
    let first = process::find(k, process).is_some_and(|found| found.threads.first() == Some(&thread));
    process::set_member(k, thread, parent);
    if first && process != ProcessId::SYSTEM {
        for routine in of(k, &[Kind::Process, Kind::ProcessEx]) {
            created(k, routine, process, parent, thread).await?;
        }
    }
    for routine in of(k, &[Kind::Thread]) {
        call_for_thread(k, routine, process, thread, true).await?;
    }
    process::set_member(k, thread, process);
    Ok(())
}

async fn created(k: &Kernel, routine: Routine, process: ProcessId, parent: ProcessId, thread: ThreadId) -> Outcome<()> {
    let numbers = [process::number(parent), process::number(process)];
    if routine.kind == Kind::Process {
        return call(k, routine, &[numbers[0], numbers[1], 1]).await;
    }
    let path = process::image_path(k, process).unwrap_or_default();
    let info = k.allocate_system(create_info::SIZE, "PS_CREATE_NOTIFY_INFO")?;
    let string = k.allocate_system(ntlayout::unicode_string::SIZE, "image file name")?;
    unicode_string::write_new(k, string, &path)?;
    k.write(info, create_info::SIZE as u64)?;
    // FileOpenNameAvailable and IsSubsystemProcess are clear: there is no file behind a simulated program.
    k.write(info + create_info::FLAGS, 0_u32)?;
    k.write(info + create_info::PARENT, numbers[0])?;
    k.write(info + create_info::CREATING_PROCESS, numbers[0])?;
    k.write(info + create_info::CREATING_THREAD, thread::id(thread))?;
    k.write(info + create_info::IMAGE_FILE_NAME, string)?;
    k.write(info + create_info::COMMAND_LINE, string)?;
    let object = process::object(k, process)?;
    call(k, routine, &[object.get(), numbers[1], info.get()]).await?;
    let status: NtStatus = k.read(info + create_info::STATUS)?;
    let text: Va = k.read(string + ntlayout::unicode_string::BUFFER)?;
    for piece in [text, string, info] {
        k.free_system(piece)?;
    }
    if !status.is_success() {
        return Err(k.not_modelled(format!(
            "a process notify routine that denies the creation of a process, here with {status}, is not modelled"
        )));
    }
    Ok(())
}

/// A thread is about to end, and its process with its last thread.
pub(crate) async fn ends(k: &Kernel) -> Outcome<()> {
    let Some(thread) = k.current_thread() else {
        return Ok(());
    };
    super::attach::check_end(k, thread)?;
    if k.state::<Routines>().borrow().all.is_empty() {
        return Ok(());
    }
    let process = process::of_thread(k, thread);
    for routine in of(k, &[Kind::Thread]) {
        call_for_thread(k, routine, process, thread, false).await?;
    }
    let last = process::find(k, process).is_some_and(|found| found.threads == [thread]);
    if !last || process == ProcessId::SYSTEM {
        return Ok(());
    }
    let parent = process::find(k, process).map_or(ProcessId::SYSTEM, |found| found.parent);
    for routine in of(k, &[Kind::Process, Kind::ProcessEx]) {
        let number = process::number(process);
        let arguments = if routine.kind == Kind::Process {
            [process::number(parent), number, 0]
        } else {
            [process::object(k, process)?.get(), number, 0]
        };
        call(k, routine, &arguments).await?;
    }
    Ok(())
}

async fn call_for_thread(
    k: &Kernel,
    routine: Routine,
    process: ProcessId,
    thread: ThreadId,
    create: bool,
) -> Outcome<()> {
    let arguments = [process::number(process), thread::id(thread), u64::from(create)];
    call(k, routine, &arguments).await
}

async fn call(k: &Kernel, routine: Routine, arguments: &[u64]) -> Outcome<()> {
    let label = match routine.kind {
        Kind::Process | Kind::ProcessEx => "process notify routine",
        Kind::Thread => "thread notify routine",
        Kind::Image => "load-image notify routine",
    };
    k.call(routine.address, arguments).label(label).await.map(|_| ())
}

/// A driver's image has been loaded, and has not run yet.
pub(crate) async fn image_loaded(k: &Kernel, name: &str, base: Va, size: u32) -> Outcome<()> {
    let routines = of(k, &[Kind::Image]);
    if routines.is_empty() {
        return Ok(());
    }
    let string = k.allocate_system(ntlayout::unicode_string::SIZE, "image name")?;
    unicode_string::write_new(k, string, &format!("\\SystemRoot\\System32\\drivers\\{name}.sys"))?;
    let info = k.allocate_system(image_info::SIZE, "IMAGE_INFO")?;
    k.write(info, image_info::PROPERTIES)?;
    k.write(info + image_info::BASE, base)?;
    k.write(info + image_info::SIZE_FIELD, u64::from(size))?;
    for routine in routines {
        // A driver's image belongs to no process.
        call(k, routine, &[string.get(), 0, info.get()]).await?;
    }
    let text: Va = k.read(string + ntlayout::unicode_string::BUFFER)?;
    for piece in [text, string, info] {
        k.free_system(piece)?;
    }
    Ok(())
}

/// The routines that drivers have not taken away.
pub(crate) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let routines = k.state::<Routines>();
    let routines = routines.borrow();
    routines
        .all
        .iter()
        .map(|routine| {
            let (kind, address, by) = (routine.kind.name(), routine.address, routine.by);
            let what = format!("the {kind} notify routine {address}, set at {by}, was never removed");
            Leftover::new(address, what)
        })
        .collect()
}
