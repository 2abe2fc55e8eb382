//! Threads that look into other processes: `KeStackAttachProcess`, `KeUnstackDetachProcess`, `KeAttachProcess`, `KeDetachProcess`.

use super::{
    process::{self, ProcessId, Processes},
    query::expect,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::{ActivityKind, ThreadId},
};

/// Offset of `Process` in a `KAPC_STATE`: the process that the thread was attached to before.
const STATE_PROCESS: usize = 32;
/// What `Process` is when there was nothing to change.
const NOTHING: u64 = 1;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC);
    ddi.function("KeStackAttachProcess", 2, contract, |k, a| {
        let target = expect(k, "KeStackAttachProcess", a.va(0))?;
        let thread = thread_of(k, a.va(0))?;
        let before = process::current(k);
        let saved = if before == target {
            NOTHING
        } else if before == process::of_thread(k, thread) {
            0
        } else {
            process::object(k, before)?.get()
        };
        k.write(a.va(1) + STATE_PROCESS, saved)?;
        attach(k, thread, target);
        Ok(())
    });
    ddi.function("KeUnstackDetachProcess", 1, contract, |k, a| {
        let saved: u64 = k.read(a.va(0) + STATE_PROCESS)?;
        let thread = thread_of(k, Va(saved))?;
        match saved {
            NOTHING => {}
            0 => detach(k, thread, "KeUnstackDetachProcess")?,
            object => {
                let before = expect(k, "KeUnstackDetachProcess", Va(object))?;
                attach(k, thread, before);
            }
        }
        Ok(())
    });
    ddi.function("KeAttachProcess", 1, contract, |k, a| {
        let target = expect(k, "KeAttachProcess", a.va(0))?;
        let thread = thread_of(k, a.va(0))?;
        if process::current(k) == target {
            return Ok(());
        }
        if is_attached(k, thread) {
            let message =
                "KeAttachProcess was called in a thread that is attached to another process already".to_owned();
            return Err(invalid(k, a.va(0), message));
        }
        attach(k, thread, target);
        Ok(())
    });
    ddi.function("KeDetachProcess", 0, contract, |k, _| {
        let thread = thread_of(k, Va::NULL)?;
        if is_attached(k, thread) {
            detach(k, thread, "KeDetachProcess")?;
        }
        Ok(())
    });
}

/// The current thread: there is one, and it is not a DPC that has borrowed it.
fn thread_of(k: &Kernel, process: Va) -> Outcome<ThreadId> {
    match (k.activity(), k.current_thread()) {
        (Some(ActivityKind::Thread(_)), Some(thread)) => Ok(thread),
        _ => Err(invalid(
            k,
            process,
            "a process was attached to in a DPC or an ISR".to_owned(),
        )),
    }
}

fn invalid(k: &Kernel, process: Va, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::INVALID_PROCESS_ATTACH_ATTEMPT,
        [process.get(), 0, 0, 0],
        "invalid-attach",
        message,
    ))
}

fn is_attached(k: &Kernel, thread: ThreadId) -> bool {
    k.state::<Processes>().borrow().attached.contains_key(&thread)
}

fn attach(k: &Kernel, thread: ThreadId, target: ProcessId) {
    let home = process::of_thread(k, thread);
    let processes = k.state::<Processes>();
    if target == home {
        processes.borrow_mut().attached.remove(&thread);
    } else {
        processes.borrow_mut().attached.insert(thread, target);
    }
    k.watch().user.borrow_mut().set_context(thread, target);
}

fn detach(k: &Kernel, thread: ThreadId, routine: &str) -> Outcome<()> {
    if !is_attached(k, thread) {
        let message = format!("{routine} was called in a thread that is attached to no process");
        return Err(invalid(k, Va::NULL, message));
    }
    attach(k, thread, process::of_thread(k, thread));
    Ok(())
}

/// A thread ends, which must not be attached to another process.
pub(super) fn check_end(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    let attached = k.state::<Processes>().borrow().attached.get(&thread).copied();
    let Some(target) = attached else {
        return Ok(());
    };
    let object = process::object(k, target)?;
    let message = format!(
        "thread {} ends while it is attached to a process: KeUnstackDetachProcess comes first",
        k.thread_name(thread)
    );
    Err(invalid(k, object, message))
}
