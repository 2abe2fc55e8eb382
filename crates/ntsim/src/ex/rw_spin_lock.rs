//! Reader-writer spin locks (`EX_SPIN_LOCK`): `ExAcquireSpinLockShared`, `ExAcquireSpinLockExclusive` and their relatives.
//!
//! They cannot be acquired recursively. A writer that waits lets no more readers in.

use std::collections::BTreeMap;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{self, Irql},
    kernel::Kernel,
    mm::Va,
    verifier::SyncObject,
};

/// The locks that are held or waited for.
#[derive(Debug, Default)]
struct Locks(BTreeMap<Va, Lock>);

#[derive(Debug, Default)]
struct Lock {
    /// The processors that hold it; one, if `exclusive`.
    holders: Vec<usize>,
    exclusive: bool,
    writers_waiting: u32,
}

/// What the kernel stores in a lock that a writer holds.
const EXCLUSIVE: u32 = 0x8000_0000;

const SELF_DEADLOCK: u64 = 0x1000;
const NOT_INITIALIZED: u64 = 0x1002;
const NOT_ACQUIRED: u64 = 0x1007;

/// How the lock is asked for or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shared,
    Exclusive,
}

fn with<T>(k: &Kernel, lock: Va, work: impl FnOnce(&mut Lock) -> T) -> T {
    let locks = k.state::<Locks>();
    let mut locks = locks.borrow_mut();
    let known = locks.0.entry(lock).or_default();
    let result = work(known);
    if known.holders.is_empty() && known.writers_waiting == 0 {
        locks.0.remove(&lock);
    }
    result
}

fn write_back(k: &Kernel, lock: Va) -> Outcome<()> {
    let value = with(k, lock, |known| {
        if known.exclusive {
            EXCLUSIVE
        } else {
            u32::try_from(known.holders.len()).unwrap_or(u32::MAX)
        }
    });
    k.write(lock, value)
}

fn free_for(k: &Kernel, lock: Va, mode: Mode) -> bool {
    with(k, lock, |known| match mode {
        Mode::Exclusive => known.holders.is_empty(),
        Mode::Shared => !known.exclusive && known.writers_waiting == 0,
    })
}

/// Takes the lock if it is free: says whether it was.
fn try_acquire(k: &Kernel, lock: Va, mode: Mode) -> Outcome<bool> {
    let value: u32 = k.read(lock)?;
    let processor = k.processor();
    let (held, mine) = with(k, lock, |known| {
        (!known.holders.is_empty(), known.holders.contains(&processor))
    });
    if mine {
        let message = format!("cpu{processor} acquires the reader-writer spin lock at {lock}, which it holds");
        return Err(misuse(k, SELF_DEADLOCK, lock, message));
    }
    if !held && value != 0 {
        let message = format!("the reader-writer spin lock at {lock} holds {value:#x}: it is not initialized");
        return Err(misuse(k, NOT_INITIALIZED, lock, message));
    }
    if !free_for(k, lock, mode) {
        return Ok(false);
    }
    with(k, lock, |known| {
        known.holders.push(processor);
        known.exclusive = mode == Mode::Exclusive;
    });
    write_back(k, lock)?;
    k.with_activity(|activity| activity.locks.push(lock));
    k.sync_acquire(SyncObject::SpinLock(lock.get()));
    Ok(true)
}

async fn acquire(k: &Kernel, lock: Va, mode: Mode) -> Outcome<()> {
    if try_acquire(k, lock, mode)? {
        return Ok(());
    }
    let writers = u32::from(mode == Mode::Exclusive);
    with(k, lock, |known| known.writers_waiting += writers);
    loop {
        let why = format!("the reader-writer spin lock at {lock}");
        k.spin_until(why, move |k| free_for(k, lock, mode)).await?;
        with(k, lock, |known| known.writers_waiting -= writers);
        if try_acquire(k, lock, mode)? {
            return Ok(());
        }
        with(k, lock, |known| known.writers_waiting += writers);
    }
}

fn release(k: &Kernel, lock: Va, mode: Mode) -> Outcome<()> {
    let processor = k.processor();
    k.read::<u32>(lock)?;
    let held = with(k, lock, |known| {
        let held = known.holders.contains(&processor) && known.exclusive == (mode == Mode::Exclusive);
        if held {
            known.holders.retain(|&holder| holder != processor);
            known.exclusive = false;
        }
        held
    });
    if !held {
        let message = format!(
            "cpu{processor} releases the reader-writer spin lock at {lock} as {mode:?}, but does not hold it so"
        );
        return Err(misuse(k, NOT_ACQUIRED, lock, message));
    }
    k.sync_release(SyncObject::SpinLock(lock.get()));
    k.with_activity(|activity| activity.locks.retain(|&other| other != lock));
    write_back(k, lock)
}

/// `ExTryConvertSharedSpinLockExclusive`: the only reader becomes the writer.
fn try_convert(k: &Kernel, lock: Va) -> Outcome<bool> {
    let processor = k.processor();
    let converted = with(k, lock, |known| {
        let only = known.holders == [processor] && !known.exclusive;
        known.exclusive |= only;
        only
    });
    write_back(k, lock)?;
    if converted {
        k.sync_acquire(SyncObject::SpinLock(lock.get()));
    }
    Ok(converted)
}

fn misuse(k: &Kernel, subcode: u64, lock: Va, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, lock.get(), 0, 0],
        "rw-spin-lock-misused",
        message,
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let below = Contract::at_most(Irql::DISPATCH);
    let raised = Contract::at_least(Irql::DISPATCH).by_rule(VerifierRule::IRQL_DISPATCH);
    let held = Contract::exactly(Irql::DISPATCH);
    for (mode, names) in [
        (
            Mode::Shared,
            [
                "ExAcquireSpinLockShared",
                "ExReleaseSpinLockShared",
                "ExAcquireSpinLockSharedAtDpcLevel",
                "ExReleaseSpinLockSharedFromDpcLevel",
                "ExTryAcquireSpinLockSharedAtDpcLevel",
            ],
        ),
        (
            Mode::Exclusive,
            [
                "ExAcquireSpinLockExclusive",
                "ExReleaseSpinLockExclusive",
                "ExAcquireSpinLockExclusiveAtDpcLevel",
                "ExReleaseSpinLockExclusiveFromDpcLevel",
                "ExTryAcquireSpinLockExclusiveAtDpcLevel",
            ],
        ),
    ] {
        let [acquires, releases, acquires_raised, releases_raised, tries_raised] = names;
        ddi.flow(acquires, 1, below, move |k, a| async move {
            let old = k.raise_irql(Irql::DISPATCH);
            acquire(&k, a.va(0), mode).await?;
            Ok(old)
        });
        ddi.function(releases, 2, held, move |k, a| {
            release(k, a.va(0), mode)?;
            ke::irql::lower(k, Irql(a.u8(1)))
        });
        ddi.flow(acquires_raised, 1, raised, move |k, a| async move {
            acquire(&k, a.va(0), mode).await
        });
        ddi.function(releases_raised, 1, raised, move |k, a| release(k, a.va(0), mode));
        ddi.function(tries_raised, 1, raised, move |k, a| try_acquire(k, a.va(0), mode));
    }
    ddi.function("ExTryConvertSharedSpinLockExclusive", 1, held, |k, a| {
        try_convert(k, a.va(0))
    });
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;
    use crate::machine::testing::script::{beside, crash, export, idle, memory, run};

    fn new(k: &Kernel) -> Outcome<Va> {
        let lock = memory(k, 4)?;
        k.write(lock, 0_u32)?;
        Ok(lock)
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let mut shared = false;
        for seed in 0..40 {
            let most = Rc::new(Cell::new(0));
            let seen = most.clone();
            run(&idle(), seed, move |k| async move {
                let lock = new(&k)?;
                let (reading, writing) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
                let mut threads = Vec::new();
                for number in 0..4 {
                    let (reading, writing, seen) = (reading.clone(), writing.clone(), seen.clone());
                    threads.push(beside(&k, "user", move |k| async move {
                        let writes = number == 0;
                        let inside = if writes { &writing } else { &reading };
                        let (acquires, releases) = if writes {
                            ("ExAcquireSpinLockExclusive", "ExReleaseSpinLockExclusive")
                        } else {
                            ("ExAcquireSpinLockShared", "ExReleaseSpinLockShared")
                        };
                        let old = export(&k, acquires, &[lock.get()]).await?;
                        assert_eq!((old, k.irql()), (0, Irql::DISPATCH));
                        inside.set(inside.get() + 1);
                        assert!(writing.get() == 0 || (writing.get() == 1 && reading.get() == 0));
                        seen.set(seen.get().max(reading.get()));
                        for _ in 0..3 {
                            k.yield_now().await?;
                        }
                        inside.set(inside.get() - 1);
                        export(&k, releases, &[lock.get(), old]).await.map(|_| ())
                    }));
                }
                for thread in threads {
                    k.join(thread).await?;
                }
                assert_eq!(k.read::<u32>(lock)?, 0);
                Ok(())
            });
            shared |= most.get() > 1;
        }
        assert!(shared, "some readers meet");
    }

    #[test]
    fn the_only_reader_can_become_the_writer() {
        run(&idle(), 1, |k| async move {
            let lock = new(&k)?;
            let old = export(&k, "ExAcquireSpinLockShared", &[lock.get()]).await?;
            assert_eq!(k.read::<u32>(lock)?, 1);
            assert_eq!(
                export(&k, "ExTryConvertSharedSpinLockExclusive", &[lock.get()]).await?,
                1
            );
            assert_eq!(k.read::<u32>(lock)?, EXCLUSIVE);
            export(&k, "ExReleaseSpinLockExclusive", &[lock.get(), old]).await?;
            export(&k, "KfRaiseIrql", &[2]).await?;
            assert_eq!(
                export(&k, "ExTryAcquireSpinLockExclusiveAtDpcLevel", &[lock.get()]).await?,
                1
            );
            export(&k, "ExReleaseSpinLockExclusiveFromDpcLevel", &[lock.get()]).await?;
            assert_eq!(
                export(&k, "ExTryAcquireSpinLockSharedAtDpcLevel", &[lock.get()]).await?,
                1
            );
            export(&k, "ExReleaseSpinLockSharedFromDpcLevel", &[lock.get()]).await?;
            for [acquires, releases] in [
                [
                    "ExAcquireSpinLockSharedAtDpcLevel",
                    "ExReleaseSpinLockSharedFromDpcLevel",
                ],
                [
                    "ExAcquireSpinLockExclusiveAtDpcLevel",
                    "ExReleaseSpinLockExclusiveFromDpcLevel",
                ],
            ] {
                export(&k, acquires, &[lock.get()]).await?;
                export(&k, releases, &[lock.get()]).await?;
            }
            export(&k, "KeLowerIrql", &[0]).await.map(|_| ())
        });
    }

    #[test]
    fn misuse_is_told_by_kind() {
        let calls = |routines: &'static [&'static str], value: u32| {
            let bugcheck = crash(move |k| async move {
                let lock = memory(&k, 4)?;
                k.write(lock, value)?;
                for name in routines {
                    export(&k, name, &[lock.get(), 0]).await?;
                }
                Ok(())
            });
            (bugcheck.code.0, bugcheck.parameters[0])
        };
        assert_eq!(
            calls(&["ExAcquireSpinLockShared", "ExAcquireSpinLockExclusive"], 0),
            (0xC4, 0x1000)
        );
        assert_eq!(
            calls(&["ExAcquireSpinLockShared", "ExReleaseSpinLockExclusive"], 0),
            (0xC4, 0x1007)
        );
        assert_eq!(calls(&["ExAcquireSpinLockShared"], 0xA5A5), (0xC4, 0x1002));
        assert_eq!(calls(&["ExAcquireSpinLockSharedAtDpcLevel"], 0), (0xC4, 0x2_0003));
    }
}
