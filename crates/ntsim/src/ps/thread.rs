//! System threads of drivers' own, and what drivers ask of threads: `PsCreateSystemThread`, `PsTerminateSystemThread`,
//! `PsGetCurrentThread`, `PsGetCurrentThreadId`, `PsGetThreadId`, `PsIsSystemThread`, `PsGetThreadExitStatus`.
//!
//! A system thread runs in the system process, in a critical region, until its routine returns or it terminates itself. Its object can
//! be waited for. Nothing stops a driver from being unloaded while its threads still run: they fault then, in code that is not there.

use std::collections::BTreeMap;

use ntlayout::object_attributes;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{self, Irql, region::Regions},
    kernel::Kernel,
    mm::Va,
    ob::handle,
    sched::{Mode, ThreadId, ThreadSpec},
    status::NtStatus,
};

/// The process ID of the system process.
const SYSTEM_PROCESS_ID: u64 = 4;
/// The ID of the first thread; the others follow, as on Windows in steps of four.
const FIRST_THREAD_ID: u64 = 0x1000;
const STEP: u64 = 4;

/// `ACCESS_MASK` of a thread: everything.
const THREAD_ALL_ACCESS: u32 = 0x001F_FFFF;

/// What is known of threads beside the scheduler's own books.
#[derive(Debug, Default)]
struct Threads {
    /// Where drivers' threads start.
    routines: BTreeMap<ThreadId, Va>,
    exit_statuses: BTreeMap<ThreadId, NtStatus>,
}

/// A thread's ID.
#[must_use]
pub fn id(thread: ThreadId) -> u64 {
    FIRST_THREAD_ID + thread.0 as u64 * STEP
}

/// The thread with an ID.
#[must_use]
pub fn by_id(k: &Kernel, id: u64) -> Option<ThreadId> {
    let offset = id.checked_sub(FIRST_THREAD_ID).filter(|offset| offset % STEP == 0)?;
    let index = usize::try_from(offset / STEP).ok()?;
    (index < k.scheduler().borrow().threads.len()).then_some(ThreadId(index))
}

/// The regions that a thread begins in: a driver's system thread in a critical one.
#[must_use]
pub(crate) fn initial_regions(k: &Kernel, thread: ThreadId) -> Regions {
    Regions {
        critical: u16::from(is_drivers(k, thread)),
        guarded: 0,
    }
}

fn is_drivers(k: &Kernel, thread: ThreadId) -> bool {
    k.scheduler().borrow().threads[thread.0].of_driver
}

/// Whether a driver's thread has lost the code that it runs: its image was unloaded.
#[must_use]
pub(crate) fn is_orphan(k: &Kernel, thread: ThreadId) -> bool {
    let routine = k.state::<Threads>().borrow().routines.get(&thread).copied();
    routine.is_some_and(|routine| k.watch().space.borrow().translate(routine, 1).is_none())
}

/// Starts a system thread of a driver's.
#[must_use]
pub fn create(k: &Kernel, routine: Va, context: u64) -> ThreadId {
    let number = k.scheduler().borrow().threads.len();
    let spec = ThreadSpec::system(format!("system thread {number} ({routine})"));
    let thread = k.spawn(spec, move |k| async move {
        k.call(routine, &[context]).label("system thread").await
    });
    {
        let mut scheduler = k.scheduler().borrow_mut();
        let created = &mut scheduler.threads[thread.0];
        created.of_driver = true;
        created.regions.critical = 1;
    }
    k.state::<Threads>().borrow_mut().routines.insert(thread, routine);
    thread
}

/// The arguments of `PsCreateSystemThread`.
#[derive(Clone, Copy, Debug)]
struct Creation {
    handle: Va,
    access: u32,
    attributes: Va,
    client_id: Va,
    routine: Va,
    context: u64,
}

fn create_system_thread(k: &Kernel, creation: Creation) -> Outcome<NtStatus> {
    let attributes = if creation.attributes.is_null() {
        0
    } else {
        k.read(creation.attributes + object_attributes::ATTRIBUTES)?
    };
    // The handle's memory must be good before there is a thread.
    k.write(creation.handle, 0_u64)?;
    let thread = create(k, creation.routine, creation.context);
    let access = match creation.access {
        0 => THREAD_ALL_ACCESS,
        access => access,
    };
    // A kernel handle, whatever the attributes say, as Windows Vista and later give.
    let object = k.thread_object(thread);
    let opened = handle::open_object(k, object, access, attributes | handle::OBJ_KERNEL_HANDLE);
    k.write(creation.handle, opened)?;
    if !creation.client_id.is_null() {
        k.write(creation.client_id, SYSTEM_PROCESS_ID)?;
        k.write(creation.client_id + 8_u64, id(thread))?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `PsTerminateSystemThread`: does not return to a thread that may end itself.
async fn terminate(k: &Kernel, status: NtStatus) -> Outcome<NtStatus> {
    let Some(thread) = k.current_thread() else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    if is_drivers(k, thread) {
        k.state::<Threads>().borrow_mut().exit_statuses.insert(thread, status);
        super::notify::ends(k).await?;
        match k.end_thread().await? {}
    }
    if k.thread_mode(thread) == Mode::User {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    Err(k.bugcheck(BugCheck::new(
        Code::ACTIVE_EX_WORKER_THREAD_TERMINATION,
        [k.thread_object(thread).get(), 0, 0, 0],
        "worker-thread-terminated",
        format!(
            "PsTerminateSystemThread was called in thread {}, which is the system's own",
            k.thread_name(thread)
        ),
    )))
}

fn exit_status(k: &Kernel, object: Va) -> Outcome<NtStatus> {
    let thread = expect(k, "PsGetThreadExitStatus", object)?;
    if !k.has_ended(thread) {
        return Ok(NtStatus::PENDING);
    }
    let threads = k.state::<Threads>();
    let threads = threads.borrow();
    Ok(threads.exit_statuses.get(&thread).copied().unwrap_or(NtStatus::SUCCESS))
}

/// The thread whose object is at `object`.
///
/// # Errors
/// When that is none: the run stops, for Windows would read what is no thread.
pub(crate) fn expect(k: &Kernel, routine: &str, object: Va) -> Outcome<ThreadId> {
    if let Some(thread) = ke::thread::find(k, object) {
        return Ok(thread);
    }
    // Touches the object: memory that is none is found as such.
    k.read::<u8>(object)?;
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::NO_THREAD.subcode, object.get(), 0, 0],
        "no-thread-object",
        format!("{routine} was given {object}, which is no thread object"),
    )))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_PS_PASSIVE);
    ddi.function("PsCreateSystemThread", 7, passive, |k, a| {
        let creation = Creation {
            handle: a.va(0),
            access: a.u32(1),
            attributes: a.va(2),
            client_id: a.va(4),
            routine: a.va(5),
            context: a.u64(6),
        };
        create_system_thread(k, creation)
    });
    ddi.flow("PsTerminateSystemThread", 1, passive, |k, a| async move {
        terminate(&k, NtStatus(a.u32(0))).await
    });
    for name in ["KeGetCurrentThread", "PsGetCurrentThread"] {
        ddi.function(name, 0, Contract::ANY, |k, _| {
            Ok(k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread)))
        });
    }
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("PsGetCurrentThreadId", 0, contract, |k, _| {
        Ok(k.current_thread().map_or(0, id))
    });
    ddi.function("PsGetThreadId", 1, contract, |k, a| {
        expect(k, "PsGetThreadId", a.va(0)).map(id)
    });
    ddi.function("PsIsSystemThread", 1, Contract::ANY, |k, a| {
        let thread = expect(k, "PsIsSystemThread", a.va(0))?;
        Ok(k.thread_mode(thread) == Mode::Kernel)
    });
    ddi.function("PsGetThreadExitStatus", 1, Contract::at_most(Irql::APC), |k, a| {
        exit_status(k, a.va(0))
    });
}

#[cfg(test)]
mod tests;
