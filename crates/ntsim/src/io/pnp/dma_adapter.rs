//! `IoGetDmaAdapter`: the device's stack is asked for the bus driver's interface, which has the routine that makes the adapter.
//!
//! "`BUS_INTERFACE_STANDARD` structure" says so. The request goes to the top of the stack, and so past the very driver that wants the adapter,
//! as a rule while that handles `IRP_MN_START_DEVICE`.

use ntlayout::{bus_interface_standard as layout, io_stack_location as stack};

use super::{Minor, bus_interface::bus_interface_standard, send::send};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    hal,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_IO_PASSIVE_5);
    ddi.flow("IoGetDmaAdapter", 3, contract, |k, a| async move {
        get(&k, a.va(0), a.va(1), a.va(2)).await
    });
}

async fn get(k: &Kernel, pdo: Va, description: Va, map_registers: Va) -> Outcome<Va> {
    if !super::is_pdo(k, pdo) {
        return Err(super::not_a_pdo(k, "IoGetDmaAdapter", pdo));
    }
    let interface = k.allocate_system(layout::SIZE, "BUS_INTERFACE_STANDARD")?;
    let adapter = if query(k, pdo, interface).await? {
        let context: u64 = k.read(interface + layout::CONTEXT)?;
        let routine: Va = k.read(interface + layout::GET_DMA_ADAPTER)?;
        let arguments = [context, description.get(), map_registers.get()];
        let adapter = k.call(routine, &arguments).label("GetDmaAdapter").await?;
        let dereference: Va = k.read(interface + layout::INTERFACE_DEREFERENCE)?;
        k.call(dereference, &[context]).label("InterfaceDereference").await?;
        Va(adapter)
    } else {
        hal::get_adapter(k, pdo, description, map_registers)?
    };
    k.free_system(interface)?;
    Ok(adapter)
}

/// Asks the device's stack for the interface, which is filled in where somebody has it.
async fn query(k: &Kernel, pdo: Va, interface: Va) -> Outcome<bool> {
    let class = bus_interface_standard().0;
    let wanted = k.allocate_system(class.len(), "GUID")?;
    k.write_bytes(wanted, &class)?;
    let size = u16::try_from(layout::SIZE).expect("64");
    let answer = send(k, pdo, Minor::QUERY_INTERFACE, |k, location| {
        k.write(location + stack::INTERFACE_TYPE, wanted)?;
        k.write(location + stack::INTERFACE_SIZE, size)?;
        k.write(location + stack::INTERFACE_VERSION, super::bus_interface::VERSION)?;
        k.write(location + stack::INTERFACE, interface)
    })
    .await?;
    k.free_system(wanted)?;
    Ok(answer.status.is_success())
}
