//! In-stack queued spin locks: `KeAcquireInStackQueuedSpinLock`, `KeReleaseInStackQueuedSpinLock`, their relatives for callers at
//! `DISPATCH_LEVEL` and for threaded DPCs, and `KeAcquireSpinLockForDpc`, `KeReleaseSpinLockForDpc`.
//!
//! The lock is a spin lock; the handle on the holder's stack says which, and the IRQL to go back to.

use ntlayout::klock_queue_handle as layout;

use super::{Irql, irql, spin_lock};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

fn fill_in(k: &Kernel, handle: Va, lock: Va, old: Irql) -> Outcome<()> {
    k.write(handle + layout::NEXT, Va::NULL)?;
    k.write(handle + layout::LOCK, lock)?;
    k.write(handle + layout::OLD_IRQL, old.0)
}

/// The lock that a handle was acquired with. The handle stays as it is: it is the driver's.
fn lock_of(k: &Kernel, handle: Va) -> Outcome<Va> {
    k.read(handle + layout::LOCK)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let acquire = Contract::at_most(Irql::DISPATCH);
    for name in ["KeAcquireInStackQueuedSpinLock", "KeAcquireInStackQueuedSpinLockForDpc"] {
        ddi.flow(name, 2, acquire, |k, a| async move {
            let (lock, handle) = (a.va(0), a.va(1));
            let old = k.irql();
            fill_in(&k, handle, lock, old)?;
            spin_lock::acquire(&k, lock).await.map(|_| ())
        });
    }
    let held = Contract::exactly(Irql::DISPATCH).by_rule(VerifierRule::QUEUED_SPIN_LOCK_RELEASE);
    for name in ["KeReleaseInStackQueuedSpinLock", "KeReleaseInStackQueuedSpinLockForDpc"] {
        ddi.function(name, 1, held, |k, a| {
            let old: u8 = k.read(a.va(0) + layout::OLD_IRQL)?;
            spin_lock::release(k, lock_of(k, a.va(0))?, Irql(old))
        });
    }
    let raised = Contract::at_least(Irql::DISPATCH).by_rule(VerifierRule::QUEUED_SPIN_LOCK);
    ddi.flow(
        "KeAcquireInStackQueuedSpinLockAtDpcLevel",
        2,
        raised,
        |k, a| async move {
            fill_in(&k, a.va(1), a.va(0), k.irql())?;
            spin_lock::acquire_raised(&k, a.va(0)).await
        },
    );
    ddi.function("KeReleaseInStackQueuedSpinLockFromDpcLevel", 1, raised, |k, a| {
        spin_lock::release_raised(k, lock_of(k, a.va(0))?)
    });
    // A threaded DPC runs at either level: these raise when it has to be.
    ddi.flow("KeAcquireSpinLockForDpc", 1, acquire, |k, a| async move {
        spin_lock::acquire(&k, a.va(0)).await
    });
    let at_dispatch = Contract::exactly(Irql::DISPATCH).by_rule(VerifierRule::IRQL_KE_RELEASE_SPIN_LOCK);
    ddi.function("KeReleaseSpinLockForDpc", 2, at_dispatch, |k, a| {
        spin_lock::release_raised(k, a.va(0))?;
        irql::lower(k, Irql(a.u8(1)))
    });
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;
    use crate::machine::testing::script::{beside, crash, export, idle, memory, run};

    #[test]
    fn a_queued_lock_excludes_and_its_handle_knows_the_irql() {
        for seed in 0..20 {
            run(&idle(), seed, |k| async move {
                let lock = memory(&k, 8)?;
                export(&k, "KeInitializeSpinLock", &[lock.get()]).await?;
                let inside = Rc::new(Cell::new(false));
                let mut threads = Vec::new();
                for _ in 0..3 {
                    let inside = inside.clone();
                    threads.push(beside(&k, "contender", move |k| async move {
                        let handle = memory(&k, layout::SIZE)?;
                        export(&k, "KfRaiseIrql", &[1]).await?;
                        export(&k, "KeAcquireInStackQueuedSpinLock", &[lock.get(), handle.get()]).await?;
                        assert!(!inside.replace(true), "two are inside");
                        assert_eq!(k.irql(), Irql::DISPATCH);
                        assert_eq!(k.read::<u8>(handle + layout::OLD_IRQL)?, 1);
                        k.yield_now().await?;
                        inside.set(false);
                        export(&k, "KeReleaseInStackQueuedSpinLock", &[handle.get()]).await?;
                        assert_eq!(k.irql(), Irql::APC);
                        export(&k, "KeLowerIrql", &[0]).await.map(|_| ())
                    }));
                }
                for thread in threads {
                    k.join(thread).await?;
                }
                Ok(())
            });
        }
    }

    #[test]
    fn the_routines_for_dispatch_level_leave_the_irql_alone() {
        run(&idle(), 1, |k| async move {
            let (lock, handle) = (memory(&k, 8)?, memory(&k, layout::SIZE)?);
            export(&k, "KeInitializeSpinLock", &[lock.get()]).await?;
            export(&k, "KfRaiseIrql", &[2]).await?;
            export(
                &k,
                "KeAcquireInStackQueuedSpinLockAtDpcLevel",
                &[lock.get(), handle.get()],
            )
            .await?;
            assert_eq!(export(&k, "KeTestSpinLock", &[lock.get()]).await?, 0);
            assert_eq!(export(&k, "KeTryToAcquireSpinLockAtDpcLevel", &[lock.get()]).await?, 0);
            export(&k, "KeReleaseInStackQueuedSpinLockFromDpcLevel", &[handle.get()]).await?;
            assert_eq!(
                (k.irql(), export(&k, "KeTestSpinLock", &[lock.get()]).await?),
                (Irql::DISPATCH, 1)
            );
            export(&k, "KeLowerIrql", &[0]).await?;
            let old = export(&k, "KeAcquireSpinLockForDpc", &[lock.get()]).await?;
            assert_eq!((old, k.irql()), (0, Irql::DISPATCH));
            export(&k, "KeReleaseSpinLockForDpc", &[lock.get(), old]).await?;
            assert_eq!(k.irql(), Irql::PASSIVE);
            Ok(())
        });
    }

    #[test]
    fn misuse_is_told() {
        let twice = crash(|k| async move {
            let (lock, handle) = (memory(&k, 8)?, memory(&k, layout::SIZE)?);
            export(&k, "KeInitializeSpinLock", &[lock.get()]).await?;
            for _ in 0..2 {
                export(&k, "KeAcquireInStackQueuedSpinLock", &[lock.get(), handle.get()]).await?;
            }
            Ok(())
        });
        assert_eq!(twice.parameters[0], 0x1000);
        let below = crash(|k| async move {
            let (lock, handle) = (memory(&k, 8)?, memory(&k, layout::SIZE)?);
            let arguments = [lock.get(), handle.get()];
            export(&k, "KeAcquireInStackQueuedSpinLockAtDpcLevel", &arguments)
                .await
                .map(|_| ())
        });
        assert_eq!(below.parameters[0], 0x4_0006);
    }
}
