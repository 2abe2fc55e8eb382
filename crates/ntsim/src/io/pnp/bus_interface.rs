//! `BUS_INTERFACE_STANDARD`: what the PCI bus driver answers to `IRP_MN_QUERY_INTERFACE`, and the routines in it.
//!
//! A driver has to dereference the interface when it is done with it, and must not call its routines afterwards. Each query is counted by a
//! context of its own.

use std::collections::BTreeMap;

use ntlayout::{bus_interface_standard as layout, guid, io_stack_location as stack};

use super::config_request::CONFIG;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    bus::Slot,
    ddi::{Contract, Registry},
    hal::{self, bus_address, bus_data},
    io::{device_interface::Guid, irp::IoStatus},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    status::NtStatus,
};

/// The version of the interface.
pub(super) const VERSION: u16 = 1;
const REFERENCE: &str = "PciInterfaceReference";
const DEREFERENCE: &str = "PciInterfaceDereference";
const TRANSLATE: &str = "PciTranslateBusAddress";
const GET_DMA_ADAPTER: &str = "PciGetDmaAdapter";
const SET_BUS_DATA: &str = "PciSetBusData";
const GET_BUS_DATA: &str = "PciGetBusData";

/// An interface that was handed out.
#[derive(Debug)]
struct Interface {
    pdo: Va,
    slot: Slot,
    references: u64,
}

/// All of them, by their contexts.
#[derive(Debug, Default)]
struct Interfaces(BTreeMap<Va, Interface>);

/// `GUID_BUS_INTERFACE_STANDARD`.
pub(super) fn bus_interface_standard() -> Guid {
    Guid::from_fields(
        0x496B_8280,
        0x6F25,
        0x11D0,
        [0xBE, 0xAF, 0x08, 0x00, 0x2B, 0xE2, 0x09, 0x2F],
    )
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function(REFERENCE, 1, Contract::ANY, |k, a| {
        with(k, a.va(0), REFERENCE, |interface| interface.references += 1)
    });
    ddi.function(DEREFERENCE, 1, Contract::ANY, |k, a| {
        with(k, a.va(0), DEREFERENCE, |interface| interface.references -= 1)
    });
    ddi.function(TRANSLATE, 5, Contract::ANY, |k, a| {
        with(k, a.va(0), TRANSLATE, |_| ())?;
        bus_address::translate(k, a.u64(1), a.va(3), a.va(4))
    });
    ddi.function(GET_DMA_ADAPTER, 3, Contract::at_most(Irql::DISPATCH), |k, a| {
        let pdo = with(k, a.va(0), GET_DMA_ADAPTER, |interface| interface.pdo)?;
        hal::get_adapter(k, pdo, a.va(1), a.va(2))
    });
    for (name, transfer) in [
        (
            SET_BUS_DATA,
            bus_data::write as fn(&Kernel, Slot, Va, u32, u32) -> Outcome<u32>,
        ),
        (GET_BUS_DATA, bus_data::read),
    ] {
        ddi.function(name, 5, Contract::at_most(Irql::DISPATCH), move |k, a| {
            let slot = with(k, a.va(0), name, |interface| interface.slot)?;
            if a.u32(1) != CONFIG {
                return Ok(0);
            }
            transfer(k, slot, a.va(2), a.u32(3), a.u32(4))
        });
    }
}

/// Works on the interface with this context.
fn with<T>(k: &Kernel, context: Va, routine: &str, work: impl FnOnce(&mut Interface) -> T) -> Outcome<T> {
    let state = k.state::<Interfaces>();
    let mut state = state.borrow_mut();
    match state.0.get_mut(&context) {
        Some(interface) if interface.references > 0 => Ok(work(interface)),
        found => {
            let known = found.is_some();
            drop(state);
            Err(not_referenced(k, context, routine, known))
        }
    }
}

fn not_referenced(k: &Kernel, context: Va, routine: &str, known: bool) -> Halted {
    let why = if known {
        "which was dereferenced as often as it was referenced"
    } else {
        "which is the context of no interface"
    };
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::BUS_INTERFACE.subcode, context.get(), 0, 0],
        "bus-interface-not-referenced",
        format!("{routine} of BUS_INTERFACE_STANDARD was called with {context}, {why}"),
    ))
}

/// Fills in the interface that was asked for; `before` when it is none of the bus driver's.
pub(super) fn answer(k: &Kernel, pdo: Va, slot: Slot, location: Va, before: IoStatus) -> Outcome<IoStatus> {
    let wanted: Va = k.read(location + stack::INTERFACE_TYPE)?;
    let size: u16 = k.read(location + stack::INTERFACE_SIZE)?;
    let at: Va = k.read(location + stack::INTERFACE)?;
    if wanted.is_null() {
        return Ok(before);
    }
    let mut class = [0; guid::SIZE];
    k.read_into(wanted, &mut class)?;
    if Guid(class) != bus_interface_standard() || usize::from(size) < layout::SIZE {
        return Ok(before);
    }
    let context = k.allocate_system(8, "the context of a bus interface")?;
    let routines = [
        (layout::INTERFACE_REFERENCE, REFERENCE),
        (layout::INTERFACE_DEREFERENCE, DEREFERENCE),
        (layout::TRANSLATE_BUS_ADDRESS, TRANSLATE),
        (layout::GET_DMA_ADAPTER, GET_DMA_ADAPTER),
        (layout::SET_BUS_DATA, SET_BUS_DATA),
        (layout::GET_BUS_DATA, GET_BUS_DATA),
    ];
    let length = u16::try_from(layout::SIZE).expect("64");
    k.write(at + layout::SIZE_FIELD, length)?;
    k.write(at + layout::VERSION, VERSION)?;
    k.write(at + layout::CONTEXT, context)?;
    for (field, routine) in routines {
        k.write(at + field, k.routine_address(routine))?;
    }
    // Whoever hands an interface out references it.
    let interface = Interface {
        pdo,
        slot,
        references: 1,
    };
    k.state::<Interfaces>().borrow_mut().0.insert(context, interface);
    Ok(IoStatus {
        status: NtStatus::SUCCESS,
        ..before
    })
}

/// The interfaces that were not dereferenced.
pub(in crate::io) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let state = k.state::<Interfaces>();
    let state = state.borrow();
    let left = state.0.iter().filter(|(_, interface)| interface.references > 0);
    left.map(|(&context, interface)| {
        let what = format!(
            "the bus interface {context} of device {} is still referenced ({} times)",
            interface.pdo, interface.references
        );
        Leftover::new(context, what)
    })
    .collect()
}
