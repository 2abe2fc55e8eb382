//! The power manager's routines that a driver passes power IRPs along with: `PoCallDriver`, `PoStartNextPowerIrp`.

use crate::{
    ddi::{Contract, Registry},
    io,
    ke::Irql,
};

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    // Since Windows Vista the same as IoCallDriver, and the power manager no longer waits for PoStartNextPowerIrp.
    ddi.flow("PoCallDriver", 2, contract, |k, a| async move {
        io::call_driver(&k, a.va(0), a.va(1)).await
    });
    ddi.function("PoStartNextPowerIrp", 1, contract, |_, _| Ok(()));
}
