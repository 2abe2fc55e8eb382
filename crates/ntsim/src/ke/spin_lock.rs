//! Executive spin locks: `KeAcquireSpinLockRaiseToDpc`, `KeReleaseSpinLock` and their relatives.

use std::collections::BTreeMap;

use super::Irql;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    verifier::{SyncObject, lock_order},
};

/// Who holds which spin lock.
#[derive(Debug, Default)]
pub struct Locks {
    holders: BTreeMap<Va, Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    processor: usize,
    acquired_at: Va,
}

const RELEASED_AT_WRONG_IRQL: u64 = 0x32;
const ACQUIRED_BELOW_DISPATCH: u64 = 0x40;
const RELEASED_BELOW_DISPATCH: u64 = 0x41;
const ACQUIRED_ABOVE_DISPATCH: u64 = 0x42;
const SELF_DEADLOCK: u64 = 0x1000;
const WRONG_OWNER: u64 = 0x1004;
const INITIALIZED_AGAIN: u64 = 0x1005;
const NOT_ACQUIRED: u64 = 0x1007;
const DELETED_HELD: u64 = 0x100B;

/// What a free kernel stores in a `KSPIN_LOCK` that is held.
const HELD: u64 = 1;

/// `KeInitializeSpinLock`.
///
/// # Errors
/// When the lock's memory cannot be written.
pub fn initialize(k: &Kernel, lock: Va) -> Outcome<()> {
    k.write(lock, 0_u64)
}

/// Where a lock that is held was acquired.
pub(crate) fn acquired_at(k: &Kernel, lock: Va) -> Option<Va> {
    let holder = k.ke().borrow().locks.holders.get(&lock).copied();
    holder.map(|holder| holder.acquired_at).filter(|site| !site.is_null())
}

/// A lock must not be held when it is initialized.
///
/// # Errors
/// When it is.
pub(crate) fn check_initialization(k: &Kernel, lock: Va) -> Outcome<()> {
    let Some(holder) = k.ke().borrow().locks.holders.get(&lock).copied() else {
        return Ok(());
    };
    Err(violation(
        k,
        [INITIALIZED_AGAIN, lock.get(), 0, 0],
        "spin-lock-initialized-held",
        format!(
            "the spin lock at {lock} is initialized, but cpu{} holds it since {}",
            holder.processor, holder.acquired_at
        ),
    ))
}

/// Memory that is being freed must hold no lock that is held.
///
/// # Errors
/// When it does.
pub(crate) fn check_freed(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    let found = {
        let ke = k.ke().borrow();
        let first = ke.locks.holders.range(start..).next();
        first
            .filter(|(lock, _)| **lock - start < length)
            .map(|(&lock, &holder)| (lock, holder))
    };
    let Some((lock, holder)) = found else {
        return Ok(());
    };
    let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
    Err(violation(
        k,
        [DELETED_HELD, lock.get(), thread.get(), 0],
        "spin-lock-freed-held",
        format!(
            "memory at {start} is freed, but cpu{} holds the spin lock at {lock} in it since {}",
            holder.processor, holder.acquired_at
        ),
    ))
}

/// Raises to `DISPATCH_LEVEL`, acquires, and returns the IRQL before.
///
/// # Errors
/// When the processor holds the lock already, or the lock's memory is no memory.
pub async fn acquire(k: &Kernel, lock: Va) -> Outcome<Irql> {
    let old = k.raise_irql(Irql::DISPATCH);
    acquire_raised(k, lock).await?;
    Ok(old)
}

/// Acquires at the current IRQL, which is `DISPATCH_LEVEL` or above.
///
/// # Errors
/// As for [`acquire`].
pub async fn acquire_raised(k: &Kernel, lock: Va) -> Outcome<()> {
    while !try_acquire(k, lock)? {
        k.spin_until(format!("the spin lock at {lock}"), move |k| !is_held(k, lock))
            .await?;
    }
    Ok(())
}

fn is_held(k: &Kernel, lock: Va) -> bool {
    k.ke().borrow().locks.holders.contains_key(&lock)
}

fn try_acquire(k: &Kernel, lock: Va) -> Outcome<bool> {
    let value: u64 = k.read(lock)?;
    let holder = k.ke().borrow().locks.holders.get(&lock).copied();
    if let Some(holder) = holder {
        if holder.processor == k.processor() {
            return Err(violation(
                k,
                [SELF_DEADLOCK, lock.get(), 0, 0],
                "spin-lock-recursion",
                format!(
                    "cpu{} acquires the spin lock at {lock}, which it holds since {}",
                    holder.processor, holder.acquired_at
                ),
            ));
        }
        return Ok(false);
    }
    if value != 0 {
        return Err(violation(
            k,
            [0x1002, lock.get(), 0, 0],
            "spin-lock-not-initialized",
            format!("the spin lock at {lock} holds {value:#x}: it is not initialized"),
        ));
    }
    k.write(lock, HELD)?;
    let holder = Holder {
        processor: k.processor(),
        acquired_at: k.caller(),
    };
    k.ke().borrow_mut().locks.holders.insert(lock, holder);
    k.with_activity(|activity| activity.locks.push(lock));
    k.sync_acquire(SyncObject::SpinLock(lock.get()));
    Ok(true)
}

/// Releases at the current IRQL, and stays there.
///
/// # Errors
/// When this processor does not hold the lock.
pub fn release_raised(k: &Kernel, lock: Va) -> Outcome<()> {
    let holder = k.ke().borrow_mut().locks.holders.remove(&lock);
    match holder {
        None => Err(violation(
            k,
            [NOT_ACQUIRED, lock.get(), 0, 0],
            "spin-lock-not-held",
            format!("the spin lock at {lock} is released, but nobody holds it"),
        )),
        Some(holder) if holder.processor != k.processor() => Err(violation(
            k,
            [WRONG_OWNER, lock.get(), 0, 0],
            "spin-lock-of-another",
            format!(
                "cpu{} releases the spin lock at {lock}, which cpu{} holds",
                k.processor(),
                holder.processor
            ),
        )),
        Some(_) => {
            k.sync_release(SyncObject::SpinLock(lock.get()));
            k.write(lock, 0_u64)?;
            k.with_activity(|activity| activity.locks.retain(|&held| held != lock));
            Ok(())
        }
    }
}

/// Releases and lowers to `old`.
///
/// # Errors
/// When this processor does not hold the lock, or `old` is above the current IRQL.
pub fn release(k: &Kernel, lock: Va, old: Irql) -> Outcome<()> {
    release_raised(k, lock)?;
    super::irql::lower(k, old)
}

fn violation(k: &Kernel, parameters: [u64; 4], rule: &'static str, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        parameters,
        rule,
        message,
    ))
}

fn wrong_irql(k: &Kernel, subcode: u64, lock: Va, what: &str) -> Outcome<()> {
    let irql = k.irql();
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, u64::from(irql.0), lock.get(), 0],
        "irql-contract",
        format!("{what} was called at {irql} for the spin lock at {lock}"),
    ))
}

/// Adds this component's exports. The IRQL contracts are checked here, since Driver Verifier has a code for each.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeInitializeSpinLock", 1, Contract::ANY, |k, args| {
        initialize(k, args.va(0))
    });
    ddi.flow("KeAcquireSpinLockRaiseToDpc", 1, Contract::ANY, |k, args| async move {
        let lock = args.va(0);
        if k.irql() > Irql::DISPATCH {
            let what = "KeAcquireSpinLockRaiseToDpc";
            wrong_irql(&k, ACQUIRED_ABOVE_DISPATCH, lock, what)?;
        }
        acquire(&k, lock).await
    });
    ddi.function("KeReleaseSpinLock", 2, Contract::ANY, |k, args| {
        let lock = args.va(0);
        if k.irql() != Irql::DISPATCH {
            wrong_irql(k, RELEASED_AT_WRONG_IRQL, lock, "KeReleaseSpinLock")?;
        }
        release(k, lock, Irql(args.u8(1)))
    });
    ddi.flow("KeAcquireSpinLockAtDpcLevel", 1, Contract::ANY, |k, args| async move {
        let lock = args.va(0);
        if k.irql() < Irql::DISPATCH {
            let what = "KeAcquireSpinLockAtDpcLevel";
            wrong_irql(&k, ACQUIRED_BELOW_DISPATCH, lock, what)?;
        }
        acquire_raised(&k, lock).await
    });
    ddi.function("KeReleaseSpinLockFromDpcLevel", 1, Contract::ANY, |k, args| {
        let lock = args.va(0);
        if k.irql() < Irql::DISPATCH {
            let what = "KeReleaseSpinLockFromDpcLevel";
            wrong_irql(k, RELEASED_BELOW_DISPATCH, lock, what)?;
        }
        release_raised(k, lock)
    });
    ddi.function(
        "KeTryToAcquireSpinLockAtDpcLevel",
        1,
        Contract::at_least(Irql::DISPATCH).by_rule(VerifierRule::IRQL_DISPATCH),
        |k, args| {
            let lock = args.va(0);
            let acquired = !is_held(k, lock) && try_acquire(k, lock)?;
            if acquired {
                lock_order::tried(k, lock);
            }
            Ok(acquired)
        },
    );
    ddi.function("KeTestSpinLock", 1, Contract::ANY, |k, args| {
        Ok(!is_held(k, args.va(0)))
    });
}
