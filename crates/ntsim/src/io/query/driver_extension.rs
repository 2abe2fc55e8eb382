//! `IoAllocateDriverObjectExtension` and `IoGetDriverObjectExtension`: memory that belongs to a driver object, by an identifier.

use std::collections::BTreeMap;

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// By driver object and identifier.
#[derive(Debug, Default)]
struct Extensions(BTreeMap<(Va, Va), Va>);

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoAllocateDriverObjectExtension", 4, contract, allocate);
    ddi.function("IoGetDriverObjectExtension", 2, contract, |k, a| {
        let known = k.state::<Extensions>().borrow().0.get(&(a.va(0), a.va(1))).copied();
        Ok(known.unwrap_or(Va::NULL))
    });
}

/// `(DriverObject, ClientIdentificationAddress, DriverObjectExtensionSize, DriverObjectExtension)`. It goes with the driver object.
fn allocate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (key, size, variable) = ((a.va(0), a.va(1)), a.u32(2), a.va(3));
    k.write(variable, Va::NULL)?;
    let state = k.state::<Extensions>();
    if state.borrow().0.contains_key(&key) {
        return Ok(NtStatus::OBJECT_NAME_COLLISION);
    }
    if !k.has_pool(size.into()) {
        return Ok(NtStatus::INSUFFICIENT_RESOURCES);
    }
    let extension = k.allocate_system(size as usize, "driver object extension")?;
    state.borrow_mut().0.insert(key, extension);
    k.write(variable, extension)?;
    Ok(NtStatus::SUCCESS)
}

/// The driver object goes, and what belongs to it.
///
/// # Errors
/// When the driver has freed some of it itself.
pub(in crate::io) fn driver_gone(k: &Kernel, driver: Va) -> Outcome<()> {
    let state = k.state::<Extensions>();
    let mut gone = Vec::new();
    state.borrow_mut().0.retain(|&(owner, _), &mut extension| {
        let stays = owner != driver;
        if !stays {
            gone.push(extension);
        }
        stays
    });
    gone.into_iter().try_for_each(|extension| k.free_system(extension))
}
