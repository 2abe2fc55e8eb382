//! What drivers call as providers and consumers beside registering: `IoWMIDeviceObjectToProviderId`, `IoWMIWriteEvent`, `WmiFireEvent`,
//! `IoWMIAllocateInstanceIds`, `IoWMISuggestInstanceName`, `IoWMIOpenBlock`, `IoWMIQueryAllData`.

use std::collections::BTreeMap;

use super::{registration, status};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    ex,
    io::{device_interface::Guid, pnp},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    rtl::unicode_string,
    status::NtStatus,
    trace::Event,
};

/// The next free instance, by block.
#[derive(Debug, Default)]
struct Instances(BTreeMap<Guid, u32>);

pub(super) fn register(ddi: &mut Registry) {
    // In a kernel of 64 bits it is the address.
    ddi.function(
        "IoWMIDeviceObjectToProviderId",
        1,
        Contract::at_most(Irql::DISPATCH),
        |_, a| Ok(a.va(0)),
    );
    ddi.function("IoWMIWriteEvent", 1, Contract::at_most(Irql::APC), |k, a| {
        // Nobody waits for it. It is the system's from now on.
        k.trace(Event::Detail(format!("a WMI event was written: {}", a.va(0))));
        ex::pool::free(k, a.va(0), None)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("WmiFireEvent", 5, Contract::at_most(Irql::DISPATCH), fire_event);
    let passive = Contract::exactly(Irql::PASSIVE);
    let contract = passive.by_rule(VerifierRule::IRQL_IO_PASSIVE_5);
    ddi.function("IoWMIAllocateInstanceIds", 3, contract, |k, a| {
        let block = read_guid(k, a.va(0))?;
        let state = k.state::<Instances>();
        let first = {
            let mut state = state.borrow_mut();
            let next = state.0.entry(block).or_default();
            let first = *next;
            let Some(after) = first.checked_add(a.u32(1)) else {
                return Ok(NtStatus::UNSUCCESSFUL);
            };
            *next = after;
            first
        };
        k.write(a.va(2), first)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function(
        "IoWMISuggestInstanceName",
        4,
        Contract::at_most(Irql::APC),
        suggest_name,
    );
    ddi.function("IoWMIOpenBlock", 3, Contract::at_most(Irql::APC), |k, a| {
        let block = read_guid(k, a.va(0))?;
        if registration::is_provided(k, block) {
            let what =
                "of a block that a driver provides is not modelled: data is not passed from one driver to another";
            return Err(k.not_modelled(format!("IoWMIOpenBlock {what}")));
        }
        Ok(status::GUID_NOT_FOUND)
    });
    ddi.function(
        "IoWMIQueryAllData",
        3,
        Contract::at_most(Irql::APC),
        |k, a| -> Outcome<NtStatus> {
            let object = a.va(0);
            Err(k.not_modelled(format!(
                "IoWMIQueryAllData is not modelled: {object} was not opened by IoWMIOpenBlock"
            )))
        },
    );
}

fn read_guid(k: &Kernel, at: Va) -> Outcome<Guid> {
    let mut guid = [0; 16];
    k.read_into(at, &mut guid)?;
    Ok(Guid(guid))
}

/// `WmiFireEvent(DeviceObject, Guid, InstanceIndex, EventDataSize, EventData)`: the system frees the data.
fn fire_event(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (block, instance, data) = (read_guid(k, a.va(1))?, a.u32(2), a.va(4));
    k.trace(Event::Detail(format!(
        "the WMI event {block} of instance {instance} was fired"
    )));
    if !data.is_null() {
        ex::pool::free(k, data, None)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `IoWMISuggestInstanceName(PhysicalDeviceObject, SymbolicLinkName, CombineNames, SuggestedInstanceName)`: the device's description, the
/// link, or both. The caller frees the name.
fn suggest_name(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const TAG: u32 = u32::from_le_bytes(*b"Wmi ");
    let (pdo, link, combine, suggested) = (a.va(0), a.va(1), a.bool(2), a.va(3));
    let instance = pnp::instance_path(k, pdo).filter(|_| !pdo.is_null());
    let link = match link {
        Va::NULL => None,
        link => Some(unicode_string::read(k, link)?),
    };
    let name = match (instance, link) {
        (Some(instance), Some(link)) if combine => format!("{instance}{link}"),
        (Some(instance), None) if !combine => instance,
        (None, Some(link)) if !combine => link,
        _ => return Ok(NtStatus::UNSUCCESSFUL),
    };
    let bytes = unicode_string::encode(&name);
    let Ok(length) = u16::try_from(bytes.len()) else {
        return Ok(NtStatus::UNSUCCESSFUL);
    };
    let buffer = k.allocate_pool(
        PoolKind::Paged,
        length.into(),
        TAG,
        PoolOwner::Driver,
        "WMI instance name",
    );
    k.write_bytes(buffer, &bytes)?;
    k.write(suggested + ntlayout::unicode_string::LENGTH, length)?;
    k.write(suggested + ntlayout::unicode_string::MAXIMUM_LENGTH, length)?;
    k.write(suggested + ntlayout::unicode_string::BUFFER, buffer)?;
    Ok(NtStatus::SUCCESS)
}
