//! `IoGetDeviceInterfaces` and `IoGetDeviceInterfaceAlias`.

use super::strings;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io::device_interface::{self, Guid},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner},
    rtl::unicode_string,
    status::NtStatus,
};

/// `DEVICE_INTERFACE_INCLUDE_NONACTIVE`.
const INCLUDE_NONACTIVE: u32 = 1;
/// The tag of the list.
const TAG: u32 = u32::from_le_bytes(*b"Io  ");

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoGetDeviceInterfaces", 4, contract, list);
    ddi.function("IoGetDeviceInterfaceAlias", 3, contract, alias);
}

/// `IoGetDeviceInterfaces(InterfaceClassGuid, PhysicalDeviceObject, Flags, SymbolicLinkList)`: the caller frees the list.
fn list(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (pdo, flags) = (a.va(1), a.u32(2));
    let mut class = [0; 16];
    k.read_into(a.va(0), &mut class)?;
    let links: Vec<String> = {
        let io = k.io().borrow();
        let all = io.interfaces.of_class(Guid(class));
        all.filter(|found| pdo.is_null() || found.pdo == pdo)
            .filter(|found| found.enabled || flags & INCLUDE_NONACTIVE != 0)
            .map(|found| found.link.clone())
            .collect()
    };
    let bytes = strings(&links);
    let size = bytes.len() as u64;
    let buffer = k.allocate_pool(PoolKind::Paged, size, TAG, PoolOwner::Driver, "symbolic link list");
    k.write_bytes(buffer, &bytes)?;
    k.write(a.va(3), buffer)?;
    Ok(NtStatus::SUCCESS)
}

/// `IoGetDeviceInterfaceAlias(SymbolicLinkName, AliasInterfaceClassGuid, AliasSymbolicLinkName)`: the interface of another class that the
/// same device has, with the same reference string.
fn alias(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let link = unicode_string::read(k, a.va(0))?;
    let mut class = [0; 16];
    k.read_into(a.va(1), &mut class)?;
    let class = Guid(class);
    let found = {
        let io = k.io().borrow();
        let Some(known) = io.interfaces.find(&link) else {
            return Ok(NtStatus::INVALID_HANDLE);
        };
        let wanted = known.link.replace(&known.class.to_string(), &class.to_string());
        io.interfaces
            .of_class(class)
            .find(|other| other.pdo == known.pdo && other.link == wanted)
            .map(|other| other.link.clone())
    };
    match found {
        Some(link) => {
            device_interface::hand_out(k, a.va(2), &link)?;
            Ok(NtStatus::SUCCESS)
        }
        None => Ok(NtStatus::OBJECT_NAME_NOT_FOUND),
    }
}
