//! WMILIB.SYS: `WmiCompleteRequest`, which turns what the driver's routine has written into the answer and completes the request.

use std::collections::BTreeMap;

use ntlayout::{io_stack_location as stack, wnode};

use super::minor;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io::{
        self,
        irp::{self, IoStatus},
    },
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `WNODE_FLAG_TOO_SMALL`.
const TOO_SMALL: u32 = 0x20;

/// What is kept of a request for all instances while the driver has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllData {
    /// The array that the driver writes the instances' lengths to.
    pub lengths: Va,
    pub instances: u32,
    /// Where the data begins.
    pub offset: u64,
}

/// The requests that drivers have, by IRP.
#[derive(Debug, Default)]
pub(super) struct Requests(pub BTreeMap<Va, AllData>);

/// The variables that drivers write the length of one instance to, by IRP.
#[derive(Debug, Default)]
struct Lengths(BTreeMap<Va, Va>);

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.flow("WmiCompleteRequest", 5, contract, |k, a| async move {
        complete(&k, &a).await
    });
}

/// A variable for the length of the instance that a request is about.
pub(super) fn length_variable(k: &Kernel, irp: Va) -> Outcome<Va> {
    let variable = k.allocate_system(4, "InstanceLengthArray")?;
    k.state::<Lengths>().borrow_mut().0.insert(irp, variable);
    Ok(variable)
}

/// `WmiCompleteRequest(DeviceObject, Irp, Status, BufferUsed, PriorityBoost)`.
async fn complete(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (irp, status, used) = (a.va(1), NtStatus(a.u32(2)), a.u32(3));
    let location = irp::current_location(k, irp)?;
    let minor: u8 = k.read(location + stack::MINOR_FUNCTION)?;
    let buffer: Va = k.read(location + stack::WMI_BUFFER)?;
    let all = k.state::<Requests>().borrow_mut().0.remove(&irp);
    let length = k.state::<Lengths>().borrow_mut().0.remove(&irp);
    let offset = match minor {
        minor::QUERY_ALL_DATA => all.map_or(0, |all| u32::try_from(all.offset).unwrap_or(u32::MAX)),
        minor::QUERY_SINGLE_INSTANCE => k.read(buffer + wnode::SINGLE_DATA_BLOCK_OFFSET)?,
        minor::EXECUTE_METHOD => k.read(buffer + wnode::ITEM_DATA_BLOCK_OFFSET)?,
        _ => 0,
    };
    let answers = matches!(
        minor,
        minor::QUERY_ALL_DATA | minor::QUERY_SINGLE_INSTANCE | minor::EXECUTE_METHOD
    );
    let needed = offset.saturating_add(used);
    let answer = if status == NtStatus::BUFFER_TOO_SMALL {
        let flags: u32 = k.read(buffer + wnode::FLAGS)?;
        let size = u32::try_from(wnode::TOO_SMALL_SIZE).expect("56");
        k.write(buffer + wnode::BUFFER_SIZE, size)?;
        k.write(buffer + wnode::FLAGS, flags | TOO_SMALL)?;
        k.write(buffer + wnode::SIZE_NEEDED, needed)?;
        IoStatus {
            status: NtStatus::SUCCESS,
            information: size.into(),
        }
    } else if status.is_success() && answers {
        k.write(buffer + wnode::BUFFER_SIZE, needed)?;
        match minor {
            minor::QUERY_ALL_DATA => write_instances(k, buffer, all)?,
            minor::QUERY_SINGLE_INSTANCE => k.write(buffer + wnode::SINGLE_SIZE_DATA_BLOCK, used)?,
            _ => k.write(buffer + wnode::ITEM_SIZE_DATA, used)?,
        }
        IoStatus {
            status,
            information: needed.into(),
        }
    } else {
        IoStatus { status, information: 0 }
    };
    for variable in all.map(|all| all.lengths).into_iter().chain(length) {
        k.free_system(variable)?;
    }
    irp::write_status(k, irp, answer)?;
    io::complete_request(k, irp).await?;
    Ok(answer.status)
}

/// Where each instance lies, and how long it is. Each begins at a multiple of 8 bytes.
fn write_instances(k: &Kernel, buffer: Va, all: Option<AllData>) -> Outcome<()> {
    let Some(all) = all else {
        return Ok(());
    };
    let first = u32::try_from(all.offset).unwrap_or(u32::MAX);
    k.write(buffer + wnode::ALL_DATA_BLOCK_OFFSET, first)?;
    k.write(buffer + wnode::ALL_INSTANCE_COUNT, all.instances)?;
    let mut offset = first;
    for index in 0..u64::from(all.instances) {
        let length: u32 = k.read(all.lengths + 4 * index)?;
        let pair = buffer + wnode::ALL_INSTANCES + 8 * index;
        k.write(pair, offset)?;
        k.write(pair + 4_u64, length)?;
        offset = offset.saturating_add(length).next_multiple_of(8);
    }
    Ok(())
}
