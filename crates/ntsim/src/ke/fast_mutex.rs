//! Fast mutexes and guarded mutexes, which are one object: `ExAcquireFastMutex`, `ExTryToAcquireFastMutex`, `ExReleaseFastMutex`, the
//! `Unsafe` routines, `KeInitializeGuardedMutex`, `KeAcquireGuardedMutex`, `KeTryToAcquireGuardedMutex`, `KeReleaseGuardedMutex`.
//!
//! They differ in how the owner is kept from being suspended: at `APC_LEVEL`, in a guarded region, or by what the caller of an unsafe
//! routine has done. None can be acquired again by its owner.

mod ddi;
mod irql;

use std::collections::BTreeMap;

use ntlayout::fast_mutex as layout;

pub(super) use ddi::register;

use super::event::{self, EventType};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    kernel::Kernel,
    mm::Va,
    sched::{ThreadId, WaitQueue},
    verifier::{SyncObject, lock_order},
};

/// The mutexes that are held, or waited for.
#[derive(Debug, Default)]
struct Mutexes(BTreeMap<Va, Mutex>);

#[derive(Debug, Default)]
struct Mutex {
    owner: Option<Owner>,
    waiters: WaitQueue,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    thread: ThreadId,
    acquired_at: Va,
}

const SELF_DEADLOCK: u64 = 0x1000;
const NOT_INITIALIZED: u64 = 0x1002;
const WRONG_OWNER: u64 = 0x1004;
const NOT_ACQUIRED: u64 = 0x1007;
const OWNER_ENDED: u64 = 0x100A;

/// `Count` of a mutex that nobody holds.
const FREE: i32 = 1;

/// `KeInitializeGuardedMutex`, and what `ExInitializeFastMutex` is inline.
///
/// # Errors
/// When the mutex's memory cannot be written.
pub fn initialize(k: &Kernel, mutex: Va) -> Outcome<()> {
    k.fill(mutex, 0, layout::SIZE)?;
    k.write(mutex + layout::COUNT, FREE)?;
    event::initialize(k, mutex + layout::EVENT, EventType::Synchronization, false)?;
    k.state::<Mutexes>().borrow_mut().0.remove(&mutex);
    lock_order::initialized(k, mutex);
    Ok(())
}

fn owner(k: &Kernel, mutex: Va) -> Option<Owner> {
    k.state::<Mutexes>().borrow().0.get(&mutex)?.owner
}

/// Waits until the mutex is free and takes it.
///
/// # Errors
/// When the thread holds it already, when it is not initialized, or when the current activity may not wait.
pub async fn acquire(k: &Kernel, mutex: Va) -> Outcome<()> {
    if let Some(owner) = owner(k, mutex).filter(|owner| Some(owner.thread) == k.current_thread()) {
        let message = format!(
            "the fast mutex at {mutex} is acquired by thread {}, which holds it since {}",
            k.thread_name(owner.thread),
            owner.acquired_at
        );
        return Err(k.bugcheck(violation(
            [SELF_DEADLOCK, mutex.get(), 0, 0],
            "fast-mutex-recursion",
            message,
        )));
    }
    lock_order::acquires(k, mutex)?;
    while !try_acquire(k, mutex)? {
        let contention: u32 = k.read(mutex + layout::CONTENTION)?;
        k.write(mutex + layout::CONTENTION, contention.wrapping_add(1))?;
        let holder = owner(k, mutex).map_or_else(String::new, |owner| {
            format!(
                ", which thread {} holds since {}",
                k.thread_name(owner.thread),
                owner.acquired_at
            )
        });
        let waiters = k
            .state::<Mutexes>()
            .borrow_mut()
            .0
            .entry(mutex)
            .or_default()
            .waiters
            .clone();
        waiters.wait(k, format!("the fast mutex at {mutex}{holder}")).await?;
    }
    Ok(())
}

/// Takes the mutex if it is free: says whether it was.
///
/// # Errors
/// When it is not initialized.
pub fn try_acquire(k: &Kernel, mutex: Va) -> Outcome<bool> {
    let count: i32 = k.read(mutex + layout::COUNT)?;
    if owner(k, mutex).is_some() {
        return Ok(false);
    }
    if count != FREE {
        let message = format!("the fast mutex at {mutex} has the count {count:#x}: it is not initialized");
        return Err(k.bugcheck(violation(
            [NOT_INITIALIZED, mutex.get(), 0, 0],
            "fast-mutex-not-initialized",
            message,
        )));
    }
    let Some(thread) = k.current_thread() else {
        return Ok(false);
    };
    k.write(mutex + layout::COUNT, 0_i32)?;
    k.write(mutex + layout::OWNER, k.thread_object(thread))?;
    let owner = Owner {
        thread,
        acquired_at: k.caller(),
    };
    k.state::<Mutexes>().borrow_mut().0.entry(mutex).or_default().owner = Some(owner);
    k.sync_acquire(SyncObject::Dispatcher(mutex.get()));
    Ok(true)
}

/// Gives the mutex back.
///
/// # Errors
/// When the current thread does not hold it.
pub fn release(k: &Kernel, mutex: Va) -> Outcome<()> {
    k.read::<i32>(mutex + layout::COUNT)?;
    match owner(k, mutex) {
        None => {
            let message = format!("the fast mutex at {mutex} is released, but nobody holds it");
            return Err(k.bugcheck(violation(
                [NOT_ACQUIRED, mutex.get(), 0, 0],
                "fast-mutex-not-held",
                message,
            )));
        }
        Some(owner) if Some(owner.thread) != k.current_thread() => {
            let message = format!(
                "the fast mutex at {mutex} is released, but thread {} holds it since {}",
                k.thread_name(owner.thread),
                owner.acquired_at
            );
            let current = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
            let parameters = [
                WRONG_OWNER,
                mutex.get(),
                k.thread_object(owner.thread).get(),
                current.get(),
            ];
            return Err(k.bugcheck(violation(parameters, "fast-mutex-of-another", message)));
        }
        Some(_) => {}
    }
    lock_order::releases(k, mutex);
    k.sync_release(SyncObject::Dispatcher(mutex.get()));
    k.write(mutex + layout::OWNER, Va::NULL)?;
    k.write(mutex + layout::COUNT, FREE)?;
    let freed = k.state::<Mutexes>().borrow_mut().0.remove(&mutex);
    if let Some(freed) = freed {
        freed.waiters.wake_all(k);
    }
    Ok(())
}

/// A thread must not end while it holds a fast mutex.
///
/// # Errors
/// When it does.
pub(crate) fn thread_ends(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    let held = {
        let mutexes = k.state::<Mutexes>();
        let mutexes = mutexes.borrow();
        let mut held = mutexes.0.iter();
        held.find_map(|(&at, mutex)| {
            mutex
                .owner
                .filter(|owner| owner.thread == thread)
                .map(|owner| (at, owner))
        })
    };
    let Some((mutex, owner)) = held else {
        return Ok(());
    };
    let message = format!(
        "thread {} ends, but it holds the fast mutex at {mutex} since {}",
        k.thread_name(thread),
        owner.acquired_at
    );
    let parameters = [OWNER_ENDED, k.thread_object(thread).get(), mutex.get(), 0];
    Err(k.bugcheck(violation(parameters, "fast-mutex-held-at-end", message)))
}

fn violation(parameters: [u64; 4], rule: &'static str, message: String) -> BugCheck {
    BugCheck::new(Code::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters, rule, message)
}

#[cfg(test)]
mod tests;
