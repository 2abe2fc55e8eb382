//! The routines as drivers import them.

use ntlayout::fast_mutex as layout;

use super::{acquire, initialize, irql, release, try_acquire};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{self, Irql, region},
    kernel::Kernel,
    mm::Va,
    verifier::lock_order,
};

/// Adds this component's exports. The IRQL contracts of fast mutexes are checked here, since Driver Verifier has a code for each.
pub(in crate::ke) fn register(ddi: &mut Registry) {
    fast(ddi);
    fast_unsafe(ddi);
    guarded(ddi);
}

fn fast(ddi: &mut Registry) {
    ddi.flow("ExAcquireFastMutex", 1, Contract::ANY, |k, a| async move {
        let mutex = a.va(0);
        irql::check_acquire(&k, "ExAcquireFastMutex", mutex)?;
        let old = k.raise_irql(Irql::APC);
        acquire(&k, mutex).await?;
        k.write(mutex + layout::OLD_IRQL, u32::from(old.0))
    });
    ddi.function("ExTryToAcquireFastMutex", 1, Contract::ANY, |k, a| {
        let mutex = a.va(0);
        irql::check_acquire(k, "ExTryToAcquireFastMutex", mutex)?;
        let old = k.raise_irql(Irql::APC);
        let acquired = try_acquire(k, mutex)?;
        if acquired {
            lock_order::tried(k, mutex);
            k.write(mutex + layout::OLD_IRQL, u32::from(old.0))?;
        } else {
            k.lower_irql(old);
        }
        Ok(acquired)
    });
    ddi.function("ExReleaseFastMutex", 1, Contract::ANY, |k, a| {
        let mutex = a.va(0);
        irql::check_release(k, mutex)?;
        let old: u8 = k.read(mutex + layout::OLD_IRQL)?;
        release(k, mutex)?;
        ke::irql::lower(k, Irql(old))
    });
}

fn fast_unsafe(ddi: &mut Registry) {
    for (name, enters) in [
        ("ExAcquireFastMutexUnsafe", false),
        ("ExEnterCriticalRegionAndAcquireFastMutexUnsafe", true),
    ] {
        ddi.flow(name, 1, Contract::ANY, move |k, a| async move {
            if enters {
                region::enter_critical(&k);
            }
            irql::check_unsafe(&k, name, a.va(0))?;
            acquire(&k, a.va(0)).await
        });
    }
    for (name, leaves) in [
        ("ExReleaseFastMutexUnsafe", false),
        ("ExReleaseFastMutexUnsafeAndLeaveCriticalRegion", true),
    ] {
        ddi.function(name, 1, Contract::ANY, move |k, a| {
            irql::check_unsafe(k, name, a.va(0))?;
            release(k, a.va(0))?;
            if leaves { region::leave_critical(k) } else { Ok(()) }
        });
    }
}

fn guarded(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_APC_LTE_1);
    ddi.function("KeInitializeGuardedMutex", 1, Contract::at_most(Irql::APC), |k, a| {
        initialize(k, a.va(0))
    });
    ddi.flow("KeAcquireGuardedMutex", 1, contract, |k, a| async move {
        region::enter_guarded(&k);
        acquire(&k, a.va(0)).await
    });
    ddi.function("KeTryToAcquireGuardedMutex", 1, contract, |k, a| {
        region::enter_guarded(k);
        let acquired = try_acquire(k, a.va(0))?;
        if acquired {
            lock_order::tried(k, a.va(0));
        } else {
            region::leave_guarded(k)?;
        }
        Ok(acquired)
    });
    ddi.function("KeReleaseGuardedMutex", 1, contract, |k, a| {
        release(k, a.va(0))?;
        region::leave_guarded(k)
    });
    ddi.flow("KeAcquireGuardedMutexUnsafe", 1, contract, |k, a| async move {
        guarded_unsafely(&k, "KeAcquireGuardedMutexUnsafe", a.va(0))?;
        acquire(&k, a.va(0)).await
    });
    ddi.function("KeReleaseGuardedMutexUnsafe", 1, contract, |k, a| {
        guarded_unsafely(k, "KeReleaseGuardedMutexUnsafe", a.va(0))?;
        release(k, a.va(0))
    });
}

/// The unsafe routines of guarded mutexes are called with all APCs disabled.
fn guarded_unsafely(k: &Kernel, routine: &str, mutex: Va) -> Outcome<()> {
    if region::all_apcs_disabled(k) {
        return Ok(());
    }
    irql::check_unsafe(k, routine, mutex)
}
