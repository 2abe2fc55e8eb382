//! Rundown protection: `ExInitializeRundownProtection`, `ExAcquireRundownProtection`, `ExReleaseRundownProtection`,
//! `ExWaitForRundownProtectionRelease`, `ExRundownCompleted`, `ExReInitializeRundownProtection`, and the same for cache-aware references.
//!
//! Whoever holds the protection keeps what it protects; once somebody waits for its release nobody gets it any more.

use std::collections::BTreeMap;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    sched::WaitQueue,
    verifier::SyncObject,
};

/// Who waits for which protection to be released.
#[derive(Debug, Default)]
struct Waits(BTreeMap<Va, WaitQueue>);

/// The bit of an `EX_RUNDOWN_REF` that says that the rundown has begun. The count of holders lies above it.
const ACTIVE: u64 = 1;
const HOLDER: u64 = 2;

/// Bytes of an `EX_RUNDOWN_REF_CACHE_AWARE` and the references behind it. One of them is used; its contents are the system's business.
const CACHE_AWARE_SIZE: u64 = 0x60;

/// What has ended the rundown is visible to its waiter.
fn order(reference: Va) -> SyncObject {
    SyncObject::Dispatcher(reference.get())
}

fn acquire(k: &Kernel, reference: Va, count: u64) -> Outcome<bool> {
    let value: u64 = k.read(reference)?;
    if value & ACTIVE != 0 {
        return Ok(false);
    }
    k.write(reference, value.wrapping_add(count * HOLDER))?;
    k.sync_acquire(order(reference));
    Ok(true)
}

fn release(k: &Kernel, reference: Va, count: u64) -> Outcome<()> {
    let value: u64 = k.read(reference)?;
    let Some(left) = value.checked_sub(count * HOLDER) else {
        return Err(misuse(
            k,
            reference,
            &format!("is released {count} times, but is held {} times", value / HOLDER),
        ));
    };
    k.sync_release(order(reference));
    k.write(reference, left)?;
    if left == ACTIVE {
        let waiters = k.state::<Waits>().borrow().0.get(&reference).cloned();
        if let Some(waiters) = waiters {
            waiters.wake_all(k);
        }
    }
    Ok(())
}

async fn wait(k: &Kernel, reference: Va) -> Outcome<()> {
    let value: u64 = k.read(reference)?;
    k.write(reference, value | ACTIVE)?;
    loop {
        let value: u64 = k.read(reference)?;
        if value < HOLDER {
            break;
        }
        let waiters = k.state::<Waits>().borrow_mut().0.entry(reference).or_default().clone();
        let why = format!(
            "the rundown protection at {reference}, which is held {} times, to be released",
            value / HOLDER
        );
        waiters.wait(k, why).await?;
    }
    k.state::<Waits>().borrow_mut().0.remove(&reference);
    k.sync_acquire(order(reference));
    Ok(())
}

/// A protection that was run down protects again.
fn reinitialize(k: &Kernel, reference: Va) -> Outcome<()> {
    let value: u64 = k.read(reference)?;
    if value != ACTIVE {
        return Err(misuse(
            k,
            reference,
            &format!(
                "is initialized again, but was not run down: it is held {} times",
                value / HOLDER
            ),
        ));
    }
    k.write(reference, 0_u64)
}

fn misuse(k: &Kernel, reference: Va, what: &str) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::RUNDOWN.subcode, reference.get(), 0, 0],
        "rundown-misused",
        format!("the rundown protection at {reference} {what}"),
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    protection(ddi, &PLAIN);
    protection(ddi, &CACHE_AWARE);
    ddi.function("ExInitializeRundownProtection", 1, Contract::ANY, |k, a| {
        k.write(a.va(0), 0_u64)
    });
    cache_aware(ddi);
}

/// The names of the routines that both kinds have.
struct Names {
    acquire: &'static str,
    acquire_ex: &'static str,
    release: &'static str,
    release_ex: &'static str,
    wait: &'static str,
    completed: &'static str,
    reinitialize: &'static str,
}

const PLAIN: Names = Names {
    acquire: "ExAcquireRundownProtection",
    acquire_ex: "ExAcquireRundownProtectionEx",
    release: "ExReleaseRundownProtection",
    release_ex: "ExReleaseRundownProtectionEx",
    wait: "ExWaitForRundownProtectionRelease",
    completed: "ExRundownCompleted",
    reinitialize: "ExReInitializeRundownProtection",
};

const CACHE_AWARE: Names = Names {
    acquire: "ExAcquireRundownProtectionCacheAware",
    acquire_ex: "ExAcquireRundownProtectionCacheAwareEx",
    release: "ExReleaseRundownProtectionCacheAware",
    release_ex: "ExReleaseRundownProtectionCacheAwareEx",
    wait: "ExWaitForRundownProtectionReleaseCacheAware",
    completed: "ExRundownCompletedCacheAware",
    reinitialize: "ExReInitializeRundownProtectionCacheAware",
};

fn protection(ddi: &mut Registry, names: &Names) {
    let any = Contract::ANY;
    ddi.function(names.acquire, 1, any, |k, a| acquire(k, a.va(0), 1));
    ddi.function(names.acquire_ex, 2, any, |k, a| {
        acquire(k, a.va(0), u64::from(a.u32(1)))
    });
    ddi.function(names.release, 1, any, |k, a| release(k, a.va(0), 1));
    ddi.function(names.release_ex, 2, any, |k, a| {
        release(k, a.va(0), u64::from(a.u32(1)))
    });
    ddi.function(names.reinitialize, 1, any, |k, a| reinitialize(k, a.va(0)));
    ddi.function(names.completed, 1, any, |k, a| k.write(a.va(0), ACTIVE));
    let apc = Contract::at_most(Irql::APC);
    ddi.flow(names.wait, 1, apc, |k, a| async move { wait(&k, a.va(0)).await });
}

fn cache_aware(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.function("ExAllocateCacheAwareRundownProtection", 2, apc, |k, a| {
        let kind = if a.u32(0) & 1 == 1 {
            PoolKind::Paged
        } else {
            PoolKind::NonPagedNx
        };
        Ok(k.allocate_pool(
            kind,
            CACHE_AWARE_SIZE,
            a.u32(1),
            PoolOwner::Driver,
            "EX_RUNDOWN_REF_CACHE_AWARE",
        ))
    });
    ddi.function("ExFreeCacheAwareRundownProtection", 1, apc, |k, a| {
        super::pool::free(k, a.va(0), None)
    });
    ddi.function("ExSizeOfRundownProtectionCacheAware", 0, apc, |_, _| {
        Ok(CACHE_AWARE_SIZE)
    });
    ddi.function("ExInitializeRundownProtectionCacheAware", 2, apc, |k, a| {
        let (reference, size) = (a.va(0), a.u64(1));
        if size < CACHE_AWARE_SIZE {
            return Err(misuse(
                k,
                reference,
                &format!("is initialized in {size} bytes, fewer than ExSizeOfRundownProtectionCacheAware says"),
            ));
        }
        k.write(reference, 0_u64)
    });
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use crate::machine::testing::script::{beside, crash, export, idle, memory, run};

    /// A protection that is released while another thread waits for it.
    fn run_down(seed: u64, aware: bool) {
        let name = move |start: &str, end: &str| format!("{start}{}{end}", if aware { "CacheAware" } else { "" });
        run(&idle(), seed, move |k| async move {
            let reference = if aware {
                export(&k, "ExAllocateCacheAwareRundownProtection", &[512, 0x7453_6554]).await?
            } else {
                let reference = memory(&k, 8)?.get();
                export(&k, "ExInitializeRundownProtection", &[reference]).await?;
                reference
            };
            assert_eq!(
                export(&k, &name("ExAcquireRundownProtection", ""), &[reference]).await?,
                1
            );
            assert_eq!(
                export(&k, &name("ExAcquireRundownProtection", "Ex"), &[reference, 2]).await?,
                1
            );
            let over = Rc::new(Cell::new(false));
            let mark = over.clone();
            let waits = name("ExWaitForRundownProtectionRelease", "");
            let waiter = beside(&k, "waiter", move |k| async move {
                export(&k, &waits, &[reference]).await?;
                mark.set(true);
                Ok(())
            });
            k.delay(1_000_000).await?;
            assert_eq!(
                export(&k, &name("ExAcquireRundownProtection", ""), &[reference]).await?,
                0,
                "it has begun"
            );
            export(&k, &name("ExReleaseRundownProtection", "Ex"), &[reference, 2]).await?;
            k.delay(1_000_000).await?;
            assert!(!over.get(), "one is held");
            export(&k, &name("ExReleaseRundownProtection", ""), &[reference]).await?;
            k.join(waiter).await?;
            export(&k, &name("ExRundownCompleted", ""), &[reference]).await?;
            assert_eq!(
                export(&k, &name("ExAcquireRundownProtection", ""), &[reference]).await?,
                0
            );
            export(&k, &name("ExReInitializeRundownProtection", ""), &[reference]).await?;
            assert_eq!(
                export(&k, &name("ExAcquireRundownProtection", ""), &[reference]).await?,
                1
            );
            export(&k, &name("ExReleaseRundownProtection", ""), &[reference]).await?;
            if aware {
                export(&k, "ExFreeCacheAwareRundownProtection", &[reference]).await?;
            }
            Ok(())
        });
    }

    #[test]
    fn a_rundown_waits_for_everybody_and_lets_nobody_in() {
        for seed in 0..10 {
            run_down(seed, false);
            run_down(seed, true);
        }
    }

    #[test]
    fn a_cache_aware_reference_fits_into_memory_of_the_drivers() {
        run(&idle(), 1, |k| async move {
            let size = export(&k, "ExSizeOfRundownProtectionCacheAware", &[]).await?;
            let reference = memory(&k, usize::try_from(size).unwrap())?.get();
            export(&k, "ExInitializeRundownProtectionCacheAware", &[reference, size]).await?;
            assert_eq!(
                export(&k, "ExAcquireRundownProtectionCacheAware", &[reference]).await?,
                1
            );
            export(&k, "ExReleaseRundownProtectionCacheAware", &[reference])
                .await
                .map(|_| ())
        });
    }

    #[test]
    fn what_is_released_too_often_is_told() {
        let bugcheck = crash(|k| async move {
            let reference = memory(&k, 8)?.get();
            export(&k, "ExInitializeRundownProtection", &[reference]).await?;
            export(&k, "ExReleaseRundownProtection", &[reference]).await.map(|_| ())
        });
        assert_eq!(bugcheck.rule, "rundown-misused");
    }
}
