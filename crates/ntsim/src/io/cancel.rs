//! Cancelling: the cancel spin lock, `IoCancelIrp`, and what `CancelIoEx` does with it.

use ntlayout::{io_stack_location as stack, irp as layout};

use super::{cancel_watch, irp};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{self, Irql},
    kernel::Kernel,
    mm::Va,
    trace::Event,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.flow("IoAcquireCancelSpinLock", 1, contract, |k, a| async move {
        let old = acquire(&k).await?;
        k.write(a.va(0), old.0)
    });
    ddi.function(
        "IoReleaseCancelSpinLock",
        1,
        Contract::exactly(Irql::DISPATCH),
        |k, a| release(k, Irql(a.u8(0))),
    );
    ddi.flow(
        "IoCancelIrp",
        1,
        contract,
        |k, a| async move { cancel(&k, a.va(0)).await },
    );
}

/// The cancel spin lock: one for the whole system.
fn lock(k: &Kernel) -> Outcome<Va> {
    let known = k.io().borrow().cancel_lock;
    if let Some(lock) = known {
        return Ok(lock);
    }
    let lock = k.allocate_system(8, "cancel spin lock")?;
    k.io().borrow_mut().cancel_lock = Some(lock);
    Ok(lock)
}

pub(super) async fn acquire(k: &Kernel) -> Outcome<Irql> {
    let lock = lock(k)?;
    ke::spin_lock::acquire(k, lock).await
}

pub(super) fn release(k: &Kernel, irql: Irql) -> Outcome<()> {
    ke::spin_lock::release(k, lock(k)?, irql)
}

/// `IoCancelIrp`: marks `irp` cancelled and calls its cancel routine, when it has one. Says whether it had.
///
/// An IRP that has ended by the time the cancel spin lock is held is left alone: Windows keeps the memory of a thread's IRP
/// until that thread has seen its end, this machine does not.
///
/// # Errors
/// When the cancel routine breaks a rule.
pub(crate) async fn cancel(k: &Kernel, irp: Va) -> Outcome<bool> {
    let irql = acquire(k).await?;
    if k.io().borrow().irps.find(irp).is_none() {
        release(k, irql)?;
        return Ok(false);
    }
    k.write(irp + layout::CANCEL, 1_u8)?;
    cancel_watch::watch(k, irp);
    let routine = irp::exchange_cancel_routine(k, irp, Va::NULL)?;
    k.trace(Event::IrpCancelRequested {
        irp,
        cancellable: !routine.is_null(),
    });
    if routine.is_null() {
        release(k, irql)?;
        return Ok(false);
    }
    k.write(irp + layout::CANCEL_IRQL, irql.0)?;
    let current = irp::current_location(k, irp)?;
    let device: Va = k.read(current + stack::DEVICE_OBJECT)?;
    call_routine(k, device, irp, routine, irql).await?;
    Ok(true)
}

/// Calls a cancel routine, with the cancel spin lock held; it releases the lock to `irql`.
pub(super) async fn call_routine(k: &Kernel, device: Va, irp: Va, routine: Va, irql: Irql) -> Outcome<()> {
    k.call(routine, &[device.get(), irp.get()])
        .label("cancel routine")
        .may_change_irql()
        .await?;
    check_released(k, irp, routine, irql)
}

fn check_released(k: &Kernel, irp: Va, routine: Va, irql: Irql) -> Outcome<()> {
    let lock = lock(k)?;
    let held = k.with_activity(|activity| activity.locks.contains(&lock)) == Some(true);
    let now = k.irql();
    if !held && now == irql {
        return Ok(());
    }
    let (rule, message) = if held {
        let message =
            format!("the cancel routine {routine} of IRP {irp} returned without releasing the cancel spin lock");
        (VerifierRule::SPIN_LOCK, message)
    } else {
        let message = format!(
            "the cancel routine {routine} of IRP {irp} returned at {now}; it was to lower the IRQL to CancelIrql, {irql}"
        );
        (VerifierRule::IRQL_RETURN, message)
    };
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [rule.subcode, 0, 0, 0],
        "cancel-spin-lock-not-released",
        message,
    )))
}
