//! What is checked of a driver's calls before they are served, by the routine's name: where the objects lie that it is given, in which
//! order locks are acquired, which buffers overlap.

use ntlayout::{dispatcher_header as header, kdpc};

use super::{
    lock_order,
    objects::{self, What},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::Args,
    ke::{Irql, dpc, spin_lock},
    kernel::Kernel,
    machine::imports,
    mm::Va,
};

/// Checks a call of `routine`.
///
/// # Errors
/// When it breaks a rule that is on.
pub(crate) fn check(k: &Kernel, routine: &'static str, args: &Args) -> Outcome<()> {
    objects::check_frames(k)?;
    match routine {
        "KeInitializeEvent"
        | "KeInitializeMutex"
        | "KeInitializeSemaphore"
        | "KeInitializeTimer"
        | "KeInitializeTimerEx"
        | "KeInitializeGuardedMutex" => objects::check_resident(k, What::SyncObject, args.va(0), routine),
        "KeInitializeSpinLock" => {
            spin_lock::check_initialization(k, args.va(0))?;
            lock_order::initialized(k, args.va(0));
            Ok(())
        }
        "KeInitializeDpc" | "KeInitializeThreadedDpc" => dpc::check_initialization(k, args.va(0)),
        "KeInsertQueueDpc" => {
            check_dpc(k, args.va(0), routine)?;
            objects::put_on_stack(k, args.va(0));
            Ok(())
        }
        "KeSetTimer" | "KeSetTimerEx" | "KeSetCoalescableTimer" => {
            objects::put_on_stack(k, args.va(0));
            Ok(())
        }
        "IoInitializeWorkItem" => objects::check_resident(k, What::WorkItem, args.va(1), routine),
        "KeSetEvent" | "KePulseEvent" => {
            objects::check_live_stack(k, args.va(0), routine)?;
            check_event(k, args.va(0), routine)
        }
        "KeWaitForSingleObject" | "KeWaitForMutexObject" => {
            check_wait_mode(k, args.va(0), args.u8(2), routine)?;
            check_waitable(k, args.va(0), routine)?;
            acquires_mutex(k, args.va(0), args.va(4))
        }
        "KeWaitForMultipleObjects" => check_wait_modes(k, args, routine),
        "KeAcquireSpinLockRaiseToDpc"
        | "KeAcquireSpinLockAtDpcLevel"
        | "KeAcquireInStackQueuedSpinLock"
        | "KeAcquireInStackQueuedSpinLockAtDpcLevel"
            if k.irql() <= Irql::DISPATCH =>
        {
            lock_order::acquires(k, args.va(0))
        }
        "ExAcquireFastMutex" | "ExAcquireFastMutexUnsafe" | "KeAcquireGuardedMutex" | "KeAcquireGuardedMutexUnsafe" => {
            lock_order::acquires(k, args.va(0))
        }
        "KeReleaseSpinLock"
        | "KeReleaseSpinLockFromDpcLevel"
        | "ExReleaseFastMutex"
        | "ExReleaseFastMutexUnsafe"
        | "KeReleaseGuardedMutex"
        | "KeReleaseGuardedMutexUnsafe"
        | "KeReleaseMutex" => {
            lock_order::releases(k, args.va(0));
            Ok(())
        }
        "KeReleaseInStackQueuedSpinLock" | "KeReleaseInStackQueuedSpinLockFromDpcLevel" => {
            release_queued(k, args.va(0));
            Ok(())
        }
        "memcpy" | "RtlCopyMemory" => check_overlap(k, args, routine),
        _ => Ok(()),
    }
}

/// Where a `KLOCK_QUEUE_HANDLE` keeps the address of its lock, whose low bits are flags.
const QUEUED_LOCK: u64 = 8;

fn release_queued(k: &Kernel, handle: Va) {
    if let Some(lock) = k.peek(handle + QUEUED_LOCK) {
        lock_order::releases(k, Va(lock & !3));
    }
}

/// Types of dispatcher objects that lie in drivers' memory.
const NOTIFICATION_EVENT: u8 = 0;
const SYNCHRONIZATION_EVENT: u8 = 1;
const MUTANT: u8 = 2;

fn object_type(k: &Kernel, object: Va) -> Option<u8> {
    Some((k.peek(object + header::TYPE)? & 0xFF) as u8)
}

/// An event has a list of waiters, which `KeInitializeEvent` makes: the kernel follows it when the event is set.
fn check_event(k: &Kernel, event: Va, routine: &str) -> Outcome<()> {
    if imports::is_unmodelled(event) {
        return Ok(());
    }
    let list = event + header::WAIT_LIST_HEAD;
    let (Some(kind), Some(first)) = (object_type(k, event), k.peek(list).map(Va)) else {
        return Ok(());
    };
    if first == list && matches!(kind, NOTIFICATION_EVENT | SYNCHRONIZATION_EVENT) {
        return Ok(());
    }
    let irql = Irql::DISPATCH.max(k.irql());
    Err(k.bugcheck(BugCheck::new(
        Code::IRQL_NOT_LESS_OR_EQUAL,
        [first.get(), irql.0.into(), 0, k.caller().get()],
        "object-not-initialized",
        format!(
            "{routine} was given the event at {event}, which is not initialized: its list of waiters begins at {first}"
        ),
    )))
}

/// As [`check_event`], for what may be another object.
fn check_waitable(k: &Kernel, object: Va, routine: &str) -> Outcome<()> {
    let first = k.peek(object + header::WAIT_LIST_HEAD);
    let size = k.peek(object + header::TYPE).map(|word| word >> 16 & 0xFF);
    let raw = object_type(k, object) == Some(NOTIFICATION_EVENT) && size == Some(0) && first == Some(0);
    if raw { check_event(k, object, routine) } else { Ok(()) }
}

/// `UserMode` of `KPROCESSOR_MODE`.
const USER_MODE: u8 = 1;

/// In a wait in user mode the thread's stack can be paged out, and what is waited for with it.
fn check_wait_mode(k: &Kernel, object: Va, mode: u8, routine: &str) -> Outcome<()> {
    const ON_STACK: u64 = 0x123;
    if mode != USER_MODE || !objects::on_current_stack(k, object) {
        return Ok(());
    }
    k.verify(objects::violation(
        [ON_STACK, object.get(), 0, 0],
        "user-mode-wait-on-stack",
        format!("{routine} was called to wait in UserMode for the object at {object}, which lies on the thread's kernel stack"),
    ))
}

fn check_wait_modes(k: &Kernel, args: &Args, routine: &str) -> Outcome<()> {
    /// `MAXIMUM_WAIT_OBJECTS`.
    const MOST: u32 = 64;
    let (count, array, mode) = (args.u32(0), args.va(1), args.u8(4));
    for index in 0..count.min(MOST) {
        if let Some(object) = k.peek(array + u64::from(index) * 8) {
            check_wait_mode(k, Va(object), mode, routine)?;
            check_waitable(k, Va(object), routine)?;
        }
    }
    Ok(())
}

/// A wait for a mutex acquires it. One with a time limit ends by itself, and is no part of a deadlock.
fn acquires_mutex(k: &Kernel, object: Va, timeout: Va) -> Outcome<()> {
    if timeout.is_null() && object_type(k, object) == Some(MUTANT) {
        return lock_order::acquires(k, object);
    }
    Ok(())
}

/// A DPC has a routine, which `KeInitializeDpc` sets.
fn check_dpc(k: &Kernel, dpc: Va, routine: &str) -> Outcome<()> {
    const DPC_OBJECT: u64 = 1;
    if k.peek(dpc + kdpc::DEFERRED_ROUTINE) != Some(0) {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::TIMER_OR_DPC_INVALID,
        [DPC_OBJECT, dpc.get(), dpc.get(), (dpc + kdpc::SIZE).get()],
        "object-not-initialized",
        format!("{routine} was given the DPC at {dpc}, which is not initialized: it has no routine"),
    )))
}

/// `memcpy` may copy in any order. What copies a buffer onto itself changes nothing, and compilers do that.
fn check_overlap(k: &Kernel, args: &Args, routine: &str) -> Outcome<()> {
    const OVERLAPPING: u64 = 0xF0;
    let (to, from, length) = (args.va(0), args.va(1), args.u64(2));
    let apart = to == from || (to - from >= length && from - to >= length);
    if apart {
        return Ok(());
    }
    k.verify(objects::violation(
        [OVERLAPPING, to.get(), from.get(), length],
        "overlapping-copy",
        format!("{routine} was called to copy {length:#x} bytes from {from} to {to}, which overlap"),
    ))
}
