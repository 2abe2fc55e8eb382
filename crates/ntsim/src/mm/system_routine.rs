//! `MmGetSystemRoutineAddress`: exports looked up at run time.

use crate::{
    ddi::{Contract, Handler, Registry},
    ke::Irql,
    mm::Va,
    rtl::unicode_string,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("MmGetSystemRoutineAddress", 1, contract, |k, args| {
        let name = unicode_string::read(k, args.va(0))?;
        Ok(match k.registry().find(&name) {
            Some((index, ddi)) if !matches!(ddi.handler, Handler::Data { .. }) => Registry::address(index),
            _ => Va::NULL,
        })
    });
}
