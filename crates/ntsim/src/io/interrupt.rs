//! Connecting to interrupts: `IoConnectInterrupt`, `IoDisconnectInterrupt`.
//!
//! Delivery is [`ke::interrupt`]'s business; here is what a driver may connect to.

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::{self, Irql, interrupt::Interrupt},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `LevelSensitive` of `KINTERRUPT_MODE`.
const LEVEL_SENSITIVE: u32 = 0;
/// Bytes of a KINTERRUPT; its contents are the system's own business.
const KINTERRUPT_SIZE: usize = 0x120;
/// Where this machine keeps the lock of an interrupt whose driver brought none.
const OWN_LOCK: usize = 0x80;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoConnectInterrupt", 11, contract, connect);
    ddi.flow("IoDisconnectInterrupt", 1, contract, |k, a| async move {
        disconnect(&k, a.va(0)).await
    });
}

/// `IoConnectInterrupt(InterruptObject, ServiceRoutine, ServiceContext, SpinLock, Vector, Irql, SynchronizeIrql,
/// InterruptMode, ShareVector, ProcessorEnableMask, FloatingSave)`.
fn connect(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (vector, irql, synchronize_irql) = (a.u32(4), Irql(a.u8(5)), Irql(a.u8(6)));
    let (mode, share, processors) = (a.u32(7), a.bool(8), a.u64(9));
    let line = line_of_vector(k, vector, irql);
    let someone = (1_u64 << k.config().processors) - 1;
    // PCI's lines are level-triggered and may always be shared, so a driver must be ready to share them.
    let matches = mode == LEVEL_SENSITIVE && share && synchronize_irql >= irql && processors & someone != 0;
    let Some(line) = line.filter(|_| matches) else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    let object = k.allocate_system(KINTERRUPT_SIZE, "KINTERRUPT")?;
    let spin_lock = match a.va(3) {
        Va::NULL => object + OWN_LOCK,
        lock => lock,
    };
    // The service routine may run before this routine returns: the driver's variable comes first.
    k.write(a.va(0), object)?;
    k.io().borrow_mut().interrupts.insert(object);
    ke::interrupt::connect(
        k,
        Interrupt {
            object,
            routine: a.va(1),
            context: a.va(2),
            line,
            irql,
            synchronize_irql,
            spin_lock,
        },
    );
    Ok(NtStatus::SUCCESS)
}

/// The line that a vector of the translated resources stands for, when the level fits it.
fn line_of_vector(k: &Kernel, vector: u32, irql: Irql) -> Option<u32> {
    let bus = k.bus().borrow();
    let mut interrupts = bus
        .functions()
        .iter()
        .filter_map(|function| function.resources().interrupt);
    let found = interrupts.find(|interrupt| interrupt.vector == vector && interrupt.irql() == irql.0)?;
    Some(found.line)
}

async fn disconnect(k: &Kernel, object: Va) -> Outcome<()> {
    ke::interrupt::disconnect(k, object).await?;
    if k.io().borrow_mut().interrupts.remove(&object) {
        k.free_system(object)?;
    }
    Ok(())
}
