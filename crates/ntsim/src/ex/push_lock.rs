//! Push locks (`EX_PUSH_LOCK`): `ExInitializePushLock`, `ExAcquirePushLockExclusiveEx`, `ExAcquirePushLockSharedEx` and their relatives.
//!
//! They are as large as a pointer, cannot be acquired recursively, and are held with normal kernel APCs disabled.

use std::collections::BTreeMap;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Contract, Registry},
    ke::{Irql, region},
    kernel::Kernel,
    mm::Va,
    sched::{ThreadId, WaitQueue},
    verifier::SyncObject,
};

/// The locks that are held or waited for.
#[derive(Debug, Default)]
struct Locks(BTreeMap<Va, Lock>);

#[derive(Debug, Default)]
struct Lock {
    /// The threads that hold it; one, if `exclusive`.
    holders: Vec<ThreadId>,
    exclusive: bool,
    writers_waiting: u32,
    waiters: WaitQueue,
}

/// How the lock is asked for or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shared,
    Exclusive,
}

/// What the kernel stores in a lock that is held: the lock bit, and the number of readers above four bits.
const HELD: u64 = 1;

const ACQUIRED_WITH_APCS: u64 = 0xEA;
const RELEASED_WITH_APCS: u64 = 0xEB;
const SELF_DEADLOCK: u64 = 0x1000;
const NOT_ACQUIRED: u64 = 0x1007;
const OWNER_ENDED: u64 = 0x100A;

fn with<T>(k: &Kernel, lock: Va, work: impl FnOnce(&mut Lock) -> T) -> T {
    let locks = k.state::<Locks>();
    let mut locks = locks.borrow_mut();
    work(locks.0.entry(lock).or_default())
}

fn write_back(k: &Kernel, lock: Va) -> Outcome<()> {
    let value = with(k, lock, |known| match known.holders.len() as u64 {
        0 => 0,
        _ if known.exclusive => HELD,
        readers => readers << 4 | HELD,
    });
    k.write(lock, value)
}

fn check_apcs(k: &Kernel, subcode: u64, routine: &str, lock: Va) -> Outcome<()> {
    if region::may_own_locks(k) {
        return Ok(());
    }
    let disabled = u64::from(region::current(k).kernel_apc_disable());
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, u64::from(k.irql().0), disabled, lock.get()],
        "unsafe-lock-with-apcs",
        format!("{routine} was called for the push lock at {lock}, but normal kernel APCs are not disabled"),
    ))
}

fn try_acquire(k: &Kernel, lock: Va, mode: Mode) -> Outcome<bool> {
    k.read::<u64>(lock)?;
    let Some(thread) = k.current_thread() else {
        return Ok(false);
    };
    let acquired = with(k, lock, |known| {
        let free = match mode {
            Mode::Exclusive => known.holders.is_empty(),
            Mode::Shared => !known.exclusive && known.writers_waiting == 0,
        };
        if free {
            known.holders.push(thread);
            known.exclusive = mode == Mode::Exclusive;
        }
        free
    });
    if acquired {
        write_back(k, lock)?;
        k.sync_acquire(SyncObject::Dispatcher(lock.get()));
    }
    Ok(acquired)
}

async fn acquire(k: &Kernel, lock: Va, mode: Mode) -> Outcome<()> {
    let thread = k.current_thread();
    if with(k, lock, |known| {
        known.holders.iter().any(|&holder| Some(holder) == thread)
    }) {
        let message = format!("the push lock at {lock} is acquired by a thread that holds it");
        return Err(misuse(k, SELF_DEADLOCK, lock, message));
    }
    let counted = u32::from(mode == Mode::Exclusive);
    while !try_acquire(k, lock, mode)? {
        let waiters = with(k, lock, |known| {
            known.writers_waiting += counted;
            known.waiters.clone()
        });
        let names = with(k, lock, |known| known.holders.clone());
        let names: Vec<String> = names.into_iter().map(|holder| k.thread_name(holder)).collect();
        let why = format!("the push lock at {lock}, which thread {} holds", names.join(" and "));
        waiters.wait(k, why).await?;
        with(k, lock, |known| known.writers_waiting -= counted);
    }
    Ok(())
}

fn release(k: &Kernel, lock: Va, mode: Option<Mode>) -> Outcome<()> {
    k.read::<u64>(lock)?;
    let thread = k.current_thread();
    let (held, waiters) = with(k, lock, |known| {
        let position = known.holders.iter().position(|&holder| Some(holder) == thread);
        let position = position.filter(|_| mode.is_none_or(|mode| known.exclusive == (mode == Mode::Exclusive)));
        if let Some(position) = position {
            known.holders.remove(position);
            known.exclusive = false;
        }
        (position.is_some(), known.waiters.clone())
    });
    if !held {
        let message = format!("the push lock at {lock} is released by a thread that does not hold it so");
        return Err(misuse(k, NOT_ACQUIRED, lock, message));
    }
    k.sync_release(SyncObject::Dispatcher(lock.get()));
    write_back(k, lock)?;
    waiters.wake_all(k);
    Ok(())
}

/// A thread must not end while it holds a push lock.
///
/// # Errors
/// When it does.
pub(crate) fn thread_ends(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    let held = {
        let locks = k.state::<Locks>();
        let locks = locks.borrow();
        locks
            .0
            .iter()
            .find(|(_, known)| known.holders.contains(&thread))
            .map(|(&at, _)| at)
    };
    let Some(lock) = held else {
        return Ok(());
    };
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [OWNER_ENDED, k.thread_object(thread).get(), lock.get(), 0],
        "lock-held-at-end",
        format!(
            "thread {} ends, but it holds the push lock at {lock}",
            k.thread_name(thread)
        ),
    )))
}

fn misuse(k: &Kernel, subcode: u64, lock: Va, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, lock.get(), 0, 0],
        "push-lock-misused",
        message,
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.function("ExInitializePushLock", 1, Contract::ANY, |k, a| {
        k.state::<Locks>().borrow_mut().0.remove(&a.va(0));
        k.write(a.va(0), 0_u64)
    });
    // The routines of older kernels, `Exf…`, take no flags, which are the checks that the caller wants.
    for (name, arity, mode) in [
        ("ExAcquirePushLockExclusiveEx", 2, Mode::Exclusive),
        ("ExAcquirePushLockSharedEx", 2, Mode::Shared),
        ("ExfAcquirePushLockExclusive", 1, Mode::Exclusive),
        ("ExfAcquirePushLockShared", 1, Mode::Shared),
    ] {
        ddi.flow(name, arity, apc, move |k, a| async move {
            check_apcs(&k, ACQUIRED_WITH_APCS, name, a.va(0))?;
            acquire(&k, a.va(0), mode).await
        });
    }
    ddi.function("ExfTryAcquirePushLockShared", 1, apc, |k, a| {
        check_apcs(k, ACQUIRED_WITH_APCS, "ExfTryAcquirePushLockShared", a.va(0))?;
        try_acquire(k, a.va(0), Mode::Shared)
    });
    let dispatch = Contract::at_most(Irql::DISPATCH);
    for (name, arity, mode) in [
        ("ExReleasePushLockExclusiveEx", 2, Some(Mode::Exclusive)),
        ("ExReleasePushLockSharedEx", 2, Some(Mode::Shared)),
        ("ExReleasePushLockEx", 2, None),
        ("ExfReleasePushLockExclusive", 1, Some(Mode::Exclusive)),
        ("ExfReleasePushLockShared", 1, Some(Mode::Shared)),
        ("ExfReleasePushLock", 1, None),
    ] {
        ddi.function(name, arity, dispatch, move |k, a| {
            check_apcs(k, RELEASED_WITH_APCS, name, a.va(0))?;
            release(k, a.va(0), mode)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;
    use crate::{
        machine::testing::script::{beside, crash, crash_in, export, idle, memory, run},
        sched::ThreadSpec,
    };

    async fn new(k: &Kernel) -> Outcome<Va> {
        let lock = memory(k, 8)?;
        export(k, "ExInitializePushLock", &[lock.get()]).await?;
        Ok(lock)
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        for seed in 0..30 {
            run(&idle(), seed, |k| async move {
                let lock = new(&k).await?;
                let (reading, writing, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
                let mut threads = Vec::new();
                for number in 0..5 {
                    let (reading, writing, most) = (reading.clone(), writing.clone(), most.clone());
                    threads.push(beside(&k, "user", move |k| async move {
                        let writes = number == 0;
                        let inside = if writes { &writing } else { &reading };
                        let (acquires, releases) = if writes {
                            ("ExAcquirePushLockExclusiveEx", "ExReleasePushLockExclusiveEx")
                        } else {
                            ("ExAcquirePushLockSharedEx", "ExReleasePushLockSharedEx")
                        };
                        export(&k, acquires, &[lock.get(), 0]).await?;
                        inside.set(inside.get() + 1);
                        assert!(writing.get() == 0 || (writing.get() == 1 && reading.get() == 0));
                        most.set(most.get().max(reading.get()));
                        k.delay(500).await?;
                        inside.set(inside.get() - 1);
                        export(&k, releases, &[lock.get(), 0]).await.map(|_| ())
                    }));
                }
                for thread in threads {
                    k.join(thread).await?;
                }
                assert!(most.get() > 1);
                assert_eq!(k.read::<u64>(lock)?, 0);
                Ok(())
            });
        }
    }

    #[test]
    fn the_older_routines_work_on_the_same_lock() {
        run(&idle(), 1, |k| async move {
            let lock = new(&k).await?;
            export(&k, "ExfAcquirePushLockExclusive", &[lock.get()]).await?;
            assert_eq!(export(&k, "ExfTryAcquirePushLockShared", &[lock.get()]).await?, 0);
            export(&k, "ExfReleasePushLockExclusive", &[lock.get()]).await?;
            assert_eq!(export(&k, "ExfTryAcquirePushLockShared", &[lock.get()]).await?, 1);
            export(&k, "ExfReleasePushLockShared", &[lock.get()]).await?;
            export(&k, "ExfAcquirePushLockShared", &[lock.get()]).await?;
            export(&k, "ExfReleasePushLock", &[lock.get()]).await?;
            export(&k, "ExAcquirePushLockExclusiveEx", &[lock.get(), 0]).await?;
            export(&k, "ExReleasePushLockEx", &[lock.get(), 0]).await.map(|_| ())
        });
    }

    #[test]
    fn misuse_is_told_by_kind() {
        let calls = |routines: &'static [&'static str]| {
            let bugcheck = crash(move |k| async move {
                let lock = new(&k).await?;
                for name in routines {
                    export(&k, name, &[lock.get(), 0]).await?;
                }
                Ok(())
            });
            bugcheck.parameters[0]
        };
        assert_eq!(
            calls(&["ExAcquirePushLockSharedEx", "ExAcquirePushLockSharedEx"]),
            SELF_DEADLOCK
        );
        assert_eq!(
            calls(&["ExAcquirePushLockSharedEx", "ExReleasePushLockExclusiveEx"]),
            NOT_ACQUIRED
        );
        assert_eq!(calls(&["ExAcquirePushLockSharedEx"]), OWNER_ENDED);
        let with_apcs = crash_in(&idle(), ThreadSpec::user("program"), |k| async move {
            let lock = new(&k).await?;
            export(&k, "ExAcquirePushLockSharedEx", &[lock.get(), 0])
                .await
                .map(|_| ())
        });
        assert_eq!(with_apcs.parameters[0], ACQUIRED_WITH_APCS);
    }
}
