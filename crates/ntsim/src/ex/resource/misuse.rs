//! What misuse of a resource stops with.

use super::{Mode, Owner, owner_name};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ke::{Irql, region},
    kernel::Kernel,
    mm::Va,
    sched::ThreadId,
};

const ACQUIRED_WITH_APCS: u64 = 0x37;
const RELEASED_WITH_APCS: u64 = 0x38;
const INITIALIZED_AGAIN: u64 = 0xD0;
const DELETED_UNINITIALIZED: u64 = 0xD1;
const FREED: u64 = 0xD2;
const SELF_DEADLOCK: u64 = 0x1000;
const NOT_INITIALIZED: u64 = 0x1002;
const OWNER_ENDED: u64 = 0x100A;
const DELETED_HELD: u64 = 0x100B;

fn violation(parameters: [u64; 4], rule: &'static str, message: String) -> BugCheck {
    BugCheck::new(Code::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters, rule, message)
}

/// A thread that could be suspended must not own a resource.
pub(super) fn check_apcs(k: &Kernel, routine: &str, resource: Va) -> Outcome<()> {
    if region::may_own_locks(k) || k.irql() > Irql::APC {
        return Ok(());
    }
    let subcode = if routine.contains("Release") {
        RELEASED_WITH_APCS
    } else {
        ACQUIRED_WITH_APCS
    };
    let disabled = u64::from(region::current(k).kernel_apc_disable());
    k.verify(violation(
        [subcode, u64::from(k.irql().0), disabled, resource.get()],
        "unsafe-lock-with-apcs",
        format!("{routine} was called for the ERESOURCE at {resource}, but normal kernel APCs are not disabled"),
    ))
}

pub(super) fn not_initialized(k: &Kernel, resource: Va) -> Halted {
    k.bugcheck(violation(
        [NOT_INITIALIZED, resource.get(), 0, 0],
        "resource-misused",
        format!("the ERESOURCE at {resource} is used, but ExInitializeResourceLite was not called for it"),
    ))
}

pub(super) fn initialized_again(k: &Kernel, resource: Va) -> Halted {
    k.bugcheck(violation(
        [INITIALIZED_AGAIN, resource.get(), 0, 0],
        "resource-misused",
        format!("the ERESOURCE at {resource} is initialized again, but was not deleted"),
    ))
}

pub(super) fn deleted_uninitialized(k: &Kernel, resource: Va) -> Halted {
    k.bugcheck(violation(
        [DELETED_UNINITIALIZED, resource.get(), 0, 0],
        "resource-misused",
        format!("ExDeleteResourceLite was called for {resource}, which is no initialized ERESOURCE"),
    ))
}

pub(super) fn deleted_held(k: &Kernel, resource: Va, owner: Owner) -> Halted {
    k.bugcheck(violation(
        [DELETED_HELD, resource.get(), owner, 0],
        "resource-misused",
        format!(
            "the ERESOURCE at {resource} is deleted, but {} holds it",
            owner_name(k, owner)
        ),
    ))
}

pub(super) fn freed(k: &Kernel, resource: Va, start: Va, length: u64) -> Halted {
    k.bugcheck(violation(
        [FREED, resource.get(), start.get(), length],
        "resource-misused",
        format!("memory at {start} is freed, but the ERESOURCE at {resource} in it was not deleted"),
    ))
}

pub(super) fn not_owned(k: &Kernel, resource: Va, owner: Owner) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::RESOURCE_NOT_OWNED,
        [resource.get(), owner, 0, 0],
        "resource-not-owned",
        format!(
            "the ERESOURCE at {resource} is released or converted, but {} does not hold it so",
            owner_name(k, owner)
        ),
    ))
}

pub(super) fn waits_for_itself(k: &Kernel, resource: Va, mode: Mode) -> Outcome<()> {
    let how = match mode {
        Mode::Exclusive => "exclusively",
        _ => "behind a writer that waits for it",
    };
    Err(k.bugcheck(violation(
        [SELF_DEADLOCK, resource.get(), 0, 0],
        "resource-recursion",
        format!("the ERESOURCE at {resource} is acquired {how} by a thread that holds it shared: it waits for itself"),
    )))
}

pub(super) fn held_at_end(k: &Kernel, resource: Va, thread: ThreadId) -> Outcome<()> {
    Err(k.bugcheck(violation(
        [OWNER_ENDED, k.thread_object(thread).get(), resource.get(), 0],
        "lock-held-at-end",
        format!(
            "thread {} ends, but it holds the ERESOURCE at {resource}",
            k.thread_name(thread)
        ),
    )))
}
