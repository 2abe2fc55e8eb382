//! What drivers ask about processes: `PsGetCurrentProcess`, `PsLookupProcessByProcessId`, `PsGetProcessId` and the like.

use ntlayout::irp as irp_layout;

use super::{
    process::{self, ProcessId},
    thread,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{Irql, time},
    kernel::Kernel,
    mm::Va,
    ob,
    sched::{Frame, Mode, ThreadId},
    status::NtStatus,
};

/// The process of the current thread, or the one that it has attached to.
const CURRENT: [(&str, Contract); 2] = [
    ("IoGetCurrentProcess", Contract::at_most(Irql::DISPATCH)),
    ("PsGetCurrentProcess", Contract::ANY),
];

pub(super) fn register(ddi: &mut Registry) {
    for (name, contract) in CURRENT {
        ddi.function(name, 0, contract, |k, _| process::object(k, process::current(k)));
    }
    ddi.function("PsGetCurrentThreadProcess", 0, Contract::ANY, |k, _| {
        process::object(k, home(k, k.current_thread()))
    });
    for name in ["PsGetCurrentProcessId", "PsGetCurrentThreadProcessId"] {
        ddi.function(name, 0, Contract::ANY, |k, _| {
            Ok(process::number(home(k, k.current_thread())))
        });
    }
    ddi.data("PsInitialSystemProcess", 8, |k, variable| {
        let system = process::object(k, ProcessId::SYSTEM)?;
        k.write(variable, system)
    });
    of_process(ddi);
    of_thread(ddi);
    lookups(ddi);
    of_requests(ddi);
}

fn home(k: &Kernel, thread: Option<ThreadId>) -> ProcessId {
    thread.map_or(ProcessId::SYSTEM, |thread| process::of_thread(k, thread))
}

/// The process whose object is at `object`.
///
/// # Errors
/// When that is none: the run stops, for Windows would read what is no process.
pub(crate) fn expect(k: &Kernel, routine: &str, object: Va) -> Outcome<ProcessId> {
    if let Some(found) = process::by_object(k, object) {
        return Ok(found);
    }
    // Touches the object: memory that is none is found as such.
    k.read::<u8>(object)?;
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::NO_THREAD.subcode, object.get(), 0, 0],
        "no-process-object",
        format!("{routine} was given {object}, which is no process object"),
    )))
}

fn of_process(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("PsGetProcessId", 1, any, |k, a| {
        expect(k, "PsGetProcessId", a.va(0)).map(process::number)
    });
    ddi.function("PsGetProcessInheritedFromUniqueProcessId", 1, any, |k, a| {
        let found = expect(k, "PsGetProcessInheritedFromUniqueProcessId", a.va(0))?;
        Ok(parent(k, found))
    });
    ddi.function("PsGetProcessImageFileName", 1, any, |k, a| {
        expect(k, "PsGetProcessImageFileName", a.va(0))?;
        Ok(a.va(0) + process::IMAGE_FILE_NAME)
    });
    ddi.function("PsGetProcessCreateTimeQuadPart", 1, any, |k, a| {
        let found = expect(k, "PsGetProcessCreateTimeQuadPart", a.va(0))?;
        Ok(created(k, found))
    });
    ddi.function("PsGetProcessExitTime", 0, any, |k, _| {
        Ok(exit_time(k, process::current(k)))
    });
    ddi.function("PsGetProcessExitStatus", 1, any, |k, a| {
        let found = expect(k, "PsGetProcessExitStatus", a.va(0))?;
        Ok(exit_status(k, found))
    });
    ddi.function("PsIsSystemProcess", 1, any, |k, a| {
        Ok(expect(k, "PsIsSystemProcess", a.va(0))? == ProcessId::SYSTEM)
    });
    // The programs are 64-bit ones.
    for name in ["PsGetProcessWow64Process", "PsGetCurrentProcessWow64Process"] {
        ddi.function(name, 1, any, |_, _| Ok(Va::NULL));
    }
    for name in ["PsGetProcessSessionId", "PsGetProcessSessionIdEx"] {
        ddi.function(name, 1, any, move |k, a| expect(k, name, a.va(0)).map(session));
    }
    ddi.function("PsGetCurrentProcessSessionId", 0, any, |k, _| {
        Ok(session(home(k, k.current_thread())))
    });
    ddi.function("PsGetProcessPeb", 1, any, |k, a| {
        let found = expect(k, "PsGetProcessPeb", a.va(0))?;
        if found == ProcessId::SYSTEM {
            return Ok(Va::NULL);
        }
        Err(k.not_modelled("PsGetProcessPeb of a program is not modelled: the machine's programs have no PEB"))
    });
    ddi.function("ExGetPreviousMode", 0, Contract::exactly(Irql::PASSIVE), |k, _| {
        Ok(u8::from(previous_mode(k) == Mode::User))
    });
}

/// System programs are in session 0, the others in session 1.
fn session(process: ProcessId) -> u32 {
    u32::from(process != ProcessId::SYSTEM)
}

pub(super) fn parent(k: &Kernel, process: ProcessId) -> u64 {
    match process {
        ProcessId::SYSTEM => 0,
        process => process::find(k, process).map_or(0, |found| process::number(found.parent)),
    }
}

pub(super) fn created(k: &Kernel, process: ProcessId) -> u64 {
    process::find(k, process).map_or(0, |found| time::as_system_time(found.created))
}

fn exit_time(k: &Kernel, process: ProcessId) -> u64 {
    let exited = process::find(k, process).and_then(|found| found.exited);
    exited.map_or(0, |(at, _)| time::as_system_time(at))
}

/// `STATUS_PENDING` is what a process has that has not ended.
pub(super) fn exit_status(k: &Kernel, process: ProcessId) -> NtStatus {
    let exited = process::find(k, process).and_then(|found| found.exited);
    exited.map_or(NtStatus::PENDING, |(_, status)| status)
}

/// Who has called the system: the driver itself, where a Zw routine of its has led here.
fn previous_mode(k: &Kernel) -> Mode {
    let by_driver = k.with_activity(|activity| {
        activity
            .frames
            .iter()
            .any(|frame| matches!(frame, Frame::Host(host) if host.name.starts_with("Zw")))
    });
    match k.current_thread() {
        Some(thread) if by_driver != Some(true) => k.thread_mode(thread),
        _ => Mode::Kernel,
    }
}

fn of_thread(ddi: &mut Registry) {
    let any = Contract::ANY;
    for name in ["PsGetThreadProcess", "IoThreadToProcess"] {
        ddi.function(name, 1, any, move |k, a| {
            let thread = thread::expect(k, name, a.va(0))?;
            process::object(k, process::of_thread(k, thread))
        });
    }
    ddi.function("PsGetThreadProcessId", 1, any, |k, a| {
        let thread = thread::expect(k, "PsGetThreadProcessId", a.va(0))?;
        Ok(process::number(process::of_thread(k, thread)))
    });
    ddi.function("PsIsThreadTerminating", 1, any, |k, a| {
        let thread = thread::expect(k, "PsIsThreadTerminating", a.va(0))?;
        Ok(k.has_ended(thread))
    });
}

fn lookups(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.function("PsLookupProcessByProcessId", 2, apc, |k, a| {
        match process::by_number(k, a.u64(0)) {
            Some(found) if process::find(k, found).is_none_or(|found| found.exited.is_none()) => {
                let object = process::object(k, found)?;
                ob::reference::reference(k, object)?;
                k.write(a.va(1), object)?;
                Ok(NtStatus::SUCCESS)
            }
            _ => Ok(NtStatus::INVALID_PARAMETER),
        }
    });
    ddi.function("PsLookupThreadByThreadId", 2, apc, |k, a| {
        match thread::by_id(k, a.u64(0)).filter(|&thread| !k.has_ended(thread)) {
            Some(thread) => {
                let object = k.thread_object(thread);
                ob::reference::reference(k, object)?;
                k.write(a.va(1), object)?;
                Ok(NtStatus::SUCCESS)
            }
            None => Ok(NtStatus::INVALID_PARAMETER),
        }
    });
}

/// Whose request an IRP is.
fn of_requests(ddi: &mut Registry) {
    let dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoGetRequestorProcess", 1, dispatch, |k, a| {
        match requestor(k, a.va(0))? {
            Some(found) => process::object(k, found),
            None => Ok(Va::NULL),
        }
    });
    ddi.function("IoGetRequestorProcessId", 1, dispatch, |k, a| {
        // A ULONG.
        let number = requestor(k, a.va(0))?.map_or(0, process::number);
        Ok(u32::try_from(number).unwrap_or(0))
    });
}

fn requestor(k: &Kernel, irp: Va) -> Outcome<Option<ProcessId>> {
    let object: Va = k.read(irp + irp_layout::THREAD)?;
    Ok(crate::ke::thread::find(k, object).map(|thread| process::of_thread(k, thread)))
}
