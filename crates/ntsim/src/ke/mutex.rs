//! Mutexes: `KeInitializeMutex`, `KeReleaseMutex`, `KeReadStateMutex`.
//!
//! A mutex is acquired by waiting for it, and by its owner again and again; the owner releases it as often. Its owner is in a critical
//! region: `KeInitializeMutex` says so in the object.

use std::collections::BTreeMap;

use ntlayout::{dispatcher_header as header, kmutant as layout};

use super::{Irql, region, wait};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ex::raise,
    kernel::Kernel,
    mm::Va,
    sched::ThreadId,
    status::NtStatus,
    verifier::lock_order,
};

/// Who owns which mutex.
#[derive(Debug, Default)]
struct Owners(BTreeMap<Va, ThreadId>);

/// `KeInitializeMutex`.
///
/// # Errors
/// When the object's memory cannot be written.
pub fn initialize(k: &Kernel, mutex: Va) -> Outcome<()> {
    k.fill(mutex, 0, layout::SIZE)?;
    wait::object::initialize(k, mutex, wait::object::MUTANT, layout::SIZE, 1)?;
    k.write(mutex + layout::APC_DISABLE, 1_u8)?;
    k.state::<Owners>().borrow_mut().0.remove(&mutex);
    lock_order::initialized(k, mutex);
    Ok(())
}

/// The thread that owns a mutex.
#[must_use]
pub fn owner(k: &Kernel, mutex: Va) -> Option<ThreadId> {
    k.state::<Owners>().borrow().0.get(&mutex).copied()
}

/// A wait for the mutex is satisfied: says whether it was abandoned.
pub(super) fn acquired(k: &Kernel, mutex: Va, thread: Option<ThreadId>) -> Outcome<bool> {
    let state: i32 = k.read(mutex + header::SIGNAL_STATE)?;
    if state == i32::MIN {
        let message = format!("the mutex at {mutex} is acquired more often than a LONG counts");
        return Err(raise::status(k, NtStatus::MUTANT_LIMIT_EXCEEDED, &message));
    }
    k.write(mutex + header::SIGNAL_STATE, state - 1)?;
    let Some(thread) = thread.filter(|_| state == 1) else {
        return Ok(false);
    };
    k.write(mutex + layout::OWNER_THREAD, k.thread_object(thread))?;
    k.state::<Owners>().borrow_mut().0.insert(mutex, thread);
    if k.read::<u8>(mutex + layout::APC_DISABLE)? != 0 {
        let regions = &mut k.scheduler().borrow_mut().threads[thread.0].regions;
        regions.critical = regions.critical.saturating_add(1);
    }
    let abandoned: u8 = k.read(mutex + layout::ABANDONED)?;
    k.write(mutex + layout::ABANDONED, abandoned & !1)?;
    Ok(abandoned & 1 != 0)
}

/// `KeReleaseMutex`: returns the state before, which is 0 when the mutex is free now.
///
/// # Errors
/// When the current thread does not own the mutex: an exception.
pub fn release(k: &Kernel, mutex: Va) -> Outcome<i32> {
    let before: i32 = k.read(mutex + header::SIGNAL_STATE)?;
    let owner = owner(k, mutex);
    if owner.is_none() || owner != k.current_thread() {
        let by = match owner {
            Some(owner) => format!("thread {} owns it", k.thread_name(owner)),
            None => "nobody owns it".to_owned(),
        };
        let message = format!("KeReleaseMutex was called for the mutex at {mutex}, but {by}");
        return Err(raise::status(k, NtStatus::MUTANT_NOT_OWNED, &message));
    }
    k.write(mutex + header::SIGNAL_STATE, before + 1)?;
    if before + 1 == 1 {
        k.state::<Owners>().borrow_mut().0.remove(&mutex);
        lock_order::releases(k, mutex);
        k.write(mutex + layout::OWNER_THREAD, Va::NULL)?;
        if k.read::<u8>(mutex + layout::APC_DISABLE)? != 0 {
            region::leave_critical(k)?;
        }
        wait::signalled(k, mutex)?;
    }
    Ok(before)
}

/// A thread must not end while it owns a mutex.
///
/// # Errors
/// When it does.
pub(crate) fn thread_ends(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    let owned = {
        let owners = k.state::<Owners>();
        let owners = owners.borrow();
        owners
            .0
            .iter()
            .find(|&(_, &owner)| owner == thread)
            .map(|(&mutex, _)| mutex)
    };
    match owned {
        Some(mutex) => Err(held_at_end(k, thread, mutex)),
        None => Ok(()),
    }
}

fn held_at_end(k: &Kernel, thread: ThreadId, mutex: Va) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::THREAD_TERMINATE_HELD_MUTEX,
        [k.thread_object(thread).get(), mutex.get(), 0, 0],
        "mutex-held-at-end",
        format!(
            "thread {} ends, but it owns the mutex at {mutex}",
            k.thread_name(thread)
        ),
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeInitializeMutex", 2, Contract::ANY, |k, args| {
        initialize(k, args.va(0))
    });
    let contract = Contract::at_most(Irql::DISPATCH).by_rule(VerifierRule::IRQL_KE_DISPATCH_LTE);
    ddi.function("KeReleaseMutex", 2, contract, |k, args| {
        super::event::check_wait_follows(k, "KeReleaseMutex", args.bool(1))?;
        release(k, args.va(0))
    });
    ddi.function("KeReadStateMutex", 1, Contract::at_most(Irql::DISPATCH), |k, args| {
        k.read::<i32>(args.va(0) + header::SIGNAL_STATE)
    });
}

#[cfg(test)]
mod tests;
