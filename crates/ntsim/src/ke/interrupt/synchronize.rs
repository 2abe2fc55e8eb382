//! What runs with a service routine kept out: `KeSynchronizeExecution`, `KeAcquireInterruptSpinLock`.

use super::{Interrupt, connected};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{Irql, irql, spin_lock},
    kernel::Kernel,
    mm::Va,
    verifier::SyncObject,
};

/// Adds this component's exports.
pub(in crate::ke) fn register(ddi: &mut Registry) {
    ddi.flow("KeSynchronizeExecution", 3, Contract::ANY, |k, args| async move {
        synchronize_execution(&k, args.va(0), args.va(1), args.va(2)).await
    });
    ddi.flow("KeAcquireInterruptSpinLock", 1, Contract::ANY, |k, args| async move {
        let interrupt = expect_connected(&k, args.va(0), "KeAcquireInterruptSpinLock")?;
        check_level(&k, &interrupt, "KeAcquireInterruptSpinLock")?;
        let old = k.raise_irql(interrupt.synchronize_irql);
        lock(&k, &interrupt).await?;
        Ok(old)
    });
    ddi.function("KeReleaseInterruptSpinLock", 2, Contract::ANY, |k, args| {
        let interrupt = expect_connected(k, args.va(0), "KeReleaseInterruptSpinLock")?;
        unlock(k, &interrupt)?;
        irql::lower(k, Irql(args.u8(1)))
    });
}

/// `KeSynchronizeExecution`: runs a routine with the service routine kept out.
///
/// # Errors
/// When the interrupt is not connected or the IRQL is above that of the service routine.
pub async fn synchronize_execution(k: &Kernel, object: Va, routine: Va, context: Va) -> Outcome<bool> {
    let interrupt = expect_connected(k, object, "KeSynchronizeExecution")?;
    check_level(k, &interrupt, "KeSynchronizeExecution")?;
    let old = k.raise_irql(interrupt.synchronize_irql);
    lock(k, &interrupt).await?;
    let rax = k.call(routine, &[context.get()]).label("SynchCritSection").await?;
    unlock(k, &interrupt)?;
    k.lower_irql(old);
    Ok(rax & 0xFF != 0)
}

pub(super) async fn lock(k: &Kernel, interrupt: &Interrupt) -> Outcome<()> {
    spin_lock::acquire_raised(k, interrupt.spin_lock).await?;
    k.sync_acquire(SyncObject::Interrupt(interrupt.spin_lock.get()));
    Ok(())
}

pub(super) fn unlock(k: &Kernel, interrupt: &Interrupt) -> Outcome<()> {
    k.sync_release(SyncObject::Interrupt(interrupt.spin_lock.get()));
    spin_lock::release_raised(k, interrupt.spin_lock)
}

fn expect_connected(k: &Kernel, object: Va, what: &str) -> Outcome<Interrupt> {
    connected(k, object).ok_or_else(|| {
        k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [VerifierRule::NOT_CONNECTED.subcode, object.get(), 0, 0],
            "interrupt-not-connected",
            format!("{what} was given {object}, which is no connected interrupt"),
        ))
    })
}

fn check_level(k: &Kernel, interrupt: &Interrupt, what: &str) -> Outcome<()> {
    let contract = Contract::at_most(interrupt.synchronize_irql);
    if contract.allows(k.irql()) {
        return Ok(());
    }
    k.verify(contract.violation(what, k.irql()))
}
