//! The old way from a bus to the processors: `HalTranslateBusAddress`, `HalGetInterruptVector`, `HalAssignSlotResources`.

use crate::{
    bugcheck::Outcome,
    bus::{Interrupt, Slot},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    status::NtStatus,
};

/// `INTERFACE_TYPE`s of the buses that a PC has: `Internal`, `Isa`, `Eisa`, `PCIBus`. There is one of each.
const BUSES: [u32; 4] = [0, 1, 2, PCI_BUS];
/// `PCIBus`.
const PCI_BUS: u32 = 5;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("HalTranslateBusAddress", 5, Contract::ANY, |k, a| {
        if !is_bus(a.u32(0), a.u32(1)) {
            return Ok(false);
        }
        translate(k, a.u64(2), a.va(3), a.va(4))
    });
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("HalGetInterruptVector", 6, contract, interrupt_vector);
    ddi.function("HalAssignSlotResources", 8, contract, assign_slot_resources);
}

fn is_bus(kind: u32, number: u32) -> bool {
    BUSES.contains(&kind) && number == 0
}

/// The processors see a bus address as it is, in the same address space: 0 for memory, 1 for ports.
///
/// # Errors
/// When a variable cannot be accessed.
pub(crate) fn translate(k: &Kernel, address: u64, address_space: Va, translated: Va) -> Outcome<bool> {
    let space: u32 = k.read(address_space)?;
    if space > 1 {
        return Ok(false);
    }
    k.write(translated, address)?;
    Ok(true)
}

/// `HalGetInterruptVector(InterfaceType, BusNumber, BusInterruptLevel, BusInterruptVector, Irql, Affinity)`: 0 where no device is wired.
fn interrupt_vector(k: &Kernel, a: &Args) -> Outcome<u32> {
    if !is_bus(a.u32(0), a.u32(1)) {
        return Ok(0);
    }
    let level = a.u32(2);
    let found = {
        let bus = k.bus().borrow();
        bus.functions().iter().find_map(|function| {
            let interrupt = function.resources().interrupt?;
            matches!(interrupt, Interrupt::Line { line, .. } if line == level).then_some(interrupt)
        })
    };
    let Some(interrupt) = found else {
        return Ok(0);
    };
    k.write(a.va(4), interrupt.irql())?;
    k.write(a.va(5), processors(k))?;
    Ok(interrupt.vector())
}

fn processors(k: &Kernel) -> u64 {
    (1 << k.config().processors) - 1
}

/// `HalAssignSlotResources(RegistryPath, DriverClassName, DriverObject, DeviceObject, BusType, BusNumber, SlotNumber,
/// AllocatedResources)`: the caller frees the list.
fn assign_slot_resources(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const TAG: u32 = u32::from_le_bytes(*b"Hal ");
    let (kind, number, slot, allocated) = (a.u32(4), a.u32(5), a.u32(6), a.va(7));
    let slot = u8::try_from(slot).map(Slot);
    let list = {
        let bus = k.bus().borrow();
        let mut functions = bus.functions().iter();
        let found = functions.find(|function| Ok(function.slot()) == slot && function.present());
        found.map(|function| function.resources().raw_list())
    };
    let Some(list) = list.filter(|_| kind == PCI_BUS && number == 0) else {
        return Ok(NtStatus::NO_SUCH_DEVICE);
    };
    let size = list.len() as u64;
    let va = k.allocate_pool(PoolKind::Paged, size, TAG, PoolOwner::Driver, "CM_RESOURCE_LIST");
    k.write_bytes(va, &list)?;
    k.write(allocated, va)?;
    Ok(NtStatus::SUCCESS)
}
