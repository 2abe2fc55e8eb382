//! Cancel-safe queues: `IoCsqInitialize`, `IoCsqInitializeEx`, `IoCsqInsertIrp`, `IoCsqInsertIrpEx`, `IoCsqRemoveNextIrp`,
//! `IoCsqRemoveIrp`.
//!
//! The queue and its lock are the driver's; these routines call its callbacks in the order that "Cancel-Safe IRP Queues"
//! documents, and deal with the race against cancellation: whoever takes the cancel routine off an IRP owns it.

use ntlayout::{io_csq as layout, io_csq_irp_context as context, irp as irp_layout};

use super::irp;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
    trace::Event,
};

/// `IO_TYPE_CSQ_IRP_CONTEXT`.
const TYPE_IRP_CONTEXT: u32 = 1;
/// `IO_TYPE_CSQ`.
const TYPE_CSQ: u32 = 2;
/// `IO_TYPE_CSQ_EX`: its driver can refuse an IRP.
const TYPE_CSQ_EX: u32 = 3;
/// The fourth of the IRP's `DriverContext` pointers, which these routines keep for themselves.
const DRIVER_CONTEXT_3: usize = irp_layout::DRIVER_CONTEXT + 3 * 8;
/// The system's own cancel routine for queued IRPs.
const CANCEL_ROUTINE: &str = "IopCsqCancelRoutine";

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoCsqInitialize", 7, Contract::ANY, initialize);
    ddi.function("IoCsqInitializeEx", 7, Contract::ANY, |k, a| {
        let status = initialize(k, a)?;
        k.write(a.va(0) + layout::TYPE, TYPE_CSQ_EX)?;
        Ok(status)
    });
    ddi.flow("IoCsqInsertIrp", 3, contract, |k, a| async move {
        insert(&k, Csq(a.va(0)), a.va(1), a.va(2), 0).await.map(|_| ())
    });
    ddi.flow("IoCsqInsertIrpEx", 4, contract, |k, a| async move {
        insert(&k, Csq(a.va(0)), a.va(1), a.va(2), a.u64(3)).await
    });
    ddi.flow("IoCsqRemoveNextIrp", 2, contract, |k, a| async move {
        remove_next(&k, Csq(a.va(0)), a.u64(1)).await
    });
    ddi.flow("IoCsqRemoveIrp", 2, contract, |k, a| async move {
        remove(&k, Csq(a.va(0)), a.va(1)).await
    });
    ddi.flow(
        CANCEL_ROUTINE,
        2,
        Contract::exactly(Irql::DISPATCH),
        |k, a| async move { cancelled(&k, a.va(1)).await },
    );
}

pub(super) fn initialize(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let csq = a.va(0);
    k.write(csq + layout::TYPE, TYPE_CSQ)?;
    let callbacks = [
        layout::CSQ_INSERT_IRP,
        layout::CSQ_REMOVE_IRP,
        layout::CSQ_PEEK_NEXT_IRP,
        layout::CSQ_ACQUIRE_LOCK,
        layout::CSQ_RELEASE_LOCK,
        layout::CSQ_COMPLETE_CANCELED_IRP,
    ];
    for (argument, field) in callbacks.into_iter().enumerate() {
        k.write(csq + field, a.va(argument + 1))?;
    }
    k.write(csq + layout::RESERVE_POINTER, Va::NULL)?;
    Ok(NtStatus::SUCCESS)
}

/// A cancel-safe queue in guest memory, and the calls of its callbacks.
#[derive(Clone, Copy)]
pub(super) struct Csq(pub(super) Va);

impl Csq {
    fn callback(self, k: &Kernel, field: usize) -> Outcome<Va> {
        k.read(self.0 + field)
    }

    /// Locks the queue; the IRQL that the driver wants back when it is unlocked.
    async fn lock(self, k: &Kernel) -> Outcome<u8> {
        let routine = self.callback(k, layout::CSQ_ACQUIRE_LOCK)?;
        let slot = super::scratch::take(k)?;
        let call = k.call(routine, &[self.0.get(), slot.get()]);
        call.label("CsqAcquireLock").may_change_irql().await?;
        let irql = k.read(slot)?;
        super::scratch::give_back(k, slot);
        Ok(irql)
    }

    async fn unlock(self, k: &Kernel, irql: u8) -> Outcome<()> {
        let routine = self.callback(k, layout::CSQ_RELEASE_LOCK)?;
        let call = k.call(routine, &[self.0.get(), u64::from(irql)]);
        call.label("CsqReleaseLock").may_change_irql().await?;
        Ok(())
    }

    /// Whether its driver can refuse an IRP.
    fn may_refuse(self, k: &Kernel) -> Outcome<bool> {
        Ok(k.read::<u32>(self.0 + layout::TYPE)? == TYPE_CSQ_EX)
    }

    async fn insert(self, k: &Kernel, irp: Va) -> Outcome<()> {
        let routine = self.callback(k, layout::CSQ_INSERT_IRP)?;
        k.call(routine, &[self.0.get(), irp.get()])
            .label("CsqInsertIrp")
            .await?;
        Ok(())
    }

    /// The callback of the other form, in the same place, which can refuse.
    async fn insert_or_refuse(self, k: &Kernel, irp: Va, insert_context: u64) -> Outcome<NtStatus> {
        let routine = self.callback(k, layout::CSQ_INSERT_IRP)?;
        let call = k.call(routine, &[self.0.get(), irp.get(), insert_context]);
        let returned = call.label("CsqInsertIrpEx").await?;
        Ok(NtStatus((returned & 0xFFFF_FFFF) as u32))
    }

    async fn remove(self, k: &Kernel, irp: Va) -> Outcome<()> {
        let routine = self.callback(k, layout::CSQ_REMOVE_IRP)?;
        k.call(routine, &[self.0.get(), irp.get()])
            .label("CsqRemoveIrp")
            .await?;
        Ok(())
    }

    async fn peek_next(self, k: &Kernel, irp: Va, peek_context: u64) -> Outcome<Va> {
        let routine = self.callback(k, layout::CSQ_PEEK_NEXT_IRP)?;
        let arguments = [self.0.get(), irp.get(), peek_context];
        Ok(Va(k.call(routine, &arguments).label("CsqPeekNextIrp").await?))
    }

    async fn complete_cancelled(self, k: &Kernel, irp: Va) -> Outcome<()> {
        let routine = self.callback(k, layout::CSQ_COMPLETE_CANCELED_IRP)?;
        let call = k.call(routine, &[self.0.get(), irp.get()]);
        call.label("CsqCompleteCanceledIrp").await?;
        Ok(())
    }
}

/// `IoCsqInsertIrp` and `IoCsqInsertIrpEx`: the status with which the driver refused the IRP, if it did.
///
/// The order is that of the diagrams in "Cancel-Safe IRP Queues": an IRP that was cancelled before is inserted all the same, and then removed
/// and completed. The pages of the two routines say of it that no attempt is made to insert it; that is true of the queue that the driver finds
/// afterwards, not of its callbacks.
async fn insert(k: &Kernel, csq: Csq, irp: Va, irp_context: Va, insert_context: u64) -> Outcome<NtStatus> {
    let before: Va = k.read(irp + DRIVER_CONTEXT_3)?;
    if irp_context.is_null() {
        k.write(irp + DRIVER_CONTEXT_3, csq.0)?;
    } else {
        k.write(irp + DRIVER_CONTEXT_3, irp_context)?;
        k.write(irp_context + context::TYPE, TYPE_IRP_CONTEXT)?;
        k.write(irp_context + context::IRP, irp)?;
        k.write(irp_context + context::CSQ, csq.0)?;
    }
    let irql = csq.lock(k).await?;
    if csq.may_refuse(k)? {
        let status = csq.insert_or_refuse(k, irp, insert_context).await?;
        if !status.is_success() {
            forget(k, irp)?;
            k.write(irp + DRIVER_CONTEXT_3, before)?;
            csq.unlock(k, irql).await?;
            return Ok(status);
        }
    } else {
        csq.insert(k, irp).await?;
    }
    irp::mark_pending(k, irp)?;
    let routine = k.routine_address(CANCEL_ROUTINE);
    irp::exchange_cancel_routine(k, irp, routine)?;
    k.trace(Event::IrpQueued { irp, csq: csq.0 });
    // A cancellation that comes from here on finds the routine; one that came before must not be missed.
    let cancelled: u8 = k.read(irp + irp_layout::CANCEL)?;
    if cancelled == 0 || irp::exchange_cancel_routine(k, irp, Va::NULL)?.is_null() {
        csq.unlock(k, irql).await?;
        return Ok(NtStatus::SUCCESS);
    }
    csq.remove(k, irp).await?;
    forget(k, irp)?;
    csq.unlock(k, irql).await?;
    csq.complete_cancelled(k, irp).await?;
    Ok(NtStatus::SUCCESS)
}

/// `IoCsqRemoveNextIrp`.
pub(super) async fn remove_next(k: &Kernel, csq: Csq, peek_context: u64) -> Outcome<Va> {
    let irql = csq.lock(k).await?;
    let mut irp = csq.peek_next(k, Va::NULL, peek_context).await?;
    while !irp.is_null() {
        if !irp::exchange_cancel_routine(k, irp, Va::NULL)?.is_null() {
            csq.remove(k, irp).await?;
            forget(k, irp)?;
            k.trace(Event::IrpDequeued { irp, csq: csq.0 });
            break;
        }
        // Its cancel routine is about to take it off the queue.
        irp = csq.peek_next(k, irp, peek_context).await?;
    }
    csq.unlock(k, irql).await?;
    Ok(irp)
}

/// `IoCsqRemoveIrp`.
async fn remove(k: &Kernel, csq: Csq, irp_context: Va) -> Outcome<Va> {
    let irql = csq.lock(k).await?;
    let mut irp: Va = k.read(irp_context + context::IRP)?;
    if !irp.is_null() {
        if irp::exchange_cancel_routine(k, irp, Va::NULL)?.is_null() {
            irp = Va::NULL;
        } else {
            csq.remove(k, irp).await?;
            forget(k, irp)?;
            k.trace(Event::IrpDequeued { irp, csq: csq.0 });
        }
    }
    csq.unlock(k, irql).await?;
    Ok(irp)
}

/// The cancel routine of queued IRPs, called with the cancel spin lock held.
async fn cancelled(k: &Kernel, irp: Va) -> Outcome<()> {
    let irql: u8 = k.read(irp + irp_layout::CANCEL_IRQL)?;
    super::cancel::release(k, Irql(irql))?;
    let csq = queue_of(k, irp)?;
    let irql = csq.lock(k).await?;
    csq.remove(k, irp).await?;
    forget(k, irp)?;
    csq.unlock(k, irql).await?;
    csq.complete_cancelled(k, irp).await
}

/// The queue that a queued IRP is in: its `DriverContext[3]` is the queue, or a context that names it.
fn queue_of(k: &Kernel, irp: Va) -> Outcome<Csq> {
    let queue: Va = k.read(irp + DRIVER_CONTEXT_3)?;
    let kind: u32 = k.read(queue)?;
    Ok(Csq(if kind == TYPE_IRP_CONTEXT {
        k.read(queue + context::CSQ)?
    } else {
        queue
    }))
}

/// An IRP leaves its queue: its context, if it has one, no longer names it.
fn forget(k: &Kernel, irp: Va) -> Outcome<()> {
    let queue: Va = k.read(irp + DRIVER_CONTEXT_3)?;
    let kind: u32 = k.read(queue)?;
    if kind == TYPE_IRP_CONTEXT {
        k.write(queue + context::IRP, Va::NULL)?;
    }
    k.write(irp + DRIVER_CONTEXT_3, Va::NULL)
}
