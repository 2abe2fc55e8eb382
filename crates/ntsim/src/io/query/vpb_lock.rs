//! The spin lock of volume parameter blocks: `IoAcquireVpbSpinLock`, `IoReleaseVpbSpinLock`.

use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::{Irql, spin_lock},
    kernel::Kernel,
    mm::Va,
};

/// One lock for the whole system.
#[derive(Debug, Default)]
struct Lock(Option<Va>);

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.flow("IoAcquireVpbSpinLock", 1, contract, |k, a| async move {
        let lock = lock(&k)?;
        let old = spin_lock::acquire(&k, lock).await?;
        k.write(a.va(0), old.0)
    });
    let contract = Contract::exactly(Irql::DISPATCH);
    ddi.function("IoReleaseVpbSpinLock", 1, contract, |k, a| {
        spin_lock::release(k, lock(k)?, Irql(a.u8(0)))
    });
}

fn lock(k: &Kernel) -> Outcome<Va> {
    let state = k.state::<Lock>();
    let known = state.borrow().0;
    if let Some(lock) = known {
        return Ok(lock);
    }
    let lock = k.allocate_system(8, "the spin lock of volume parameter blocks")?;
    state.borrow_mut().0 = Some(lock);
    Ok(lock)
}
