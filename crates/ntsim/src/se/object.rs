//! The security of objects: `ZwSetSecurityObject`, `ZwQuerySecurityObject`, `ObGetObjectSecurity`, `ObReleaseObjectSecurity`.

use std::collections::BTreeMap;

use super::{
    assign::{Parts, default_of_object},
    descriptor::Descriptor,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    ob::handle::{self, Handle, ZW_CONTRACT},
    status::NtStatus,
};

const TAG: u32 = u32::from_le_bytes(*b"ObSd");

/// The parts that are meant, by `SECURITY_INFORMATION`.
const OWNER: u32 = 0x1;
const GROUP: u32 = 0x2;
const DACL: u32 = 0x4;
const SACL: u32 = 0x8;

/// What an object is known by here: most have an address, a registry key has a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Object(Va),
    Name(String),
}

/// The descriptors that were given to objects, self-relative.
#[derive(Default)]
struct Descriptors(BTreeMap<Key, Parts>);

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwSetSecurityObject", "NtSetSecurityObject"] {
        ddi.function(name, 3, ZW_CONTRACT, set);
    }
    for name in ["ZwQuerySecurityObject", "NtQuerySecurityObject"] {
        ddi.function(name, 5, ZW_CONTRACT, query);
    }
    let apc = Contract::at_most(Irql::APC);
    ddi.function("ObGetObjectSecurity", 3, apc, |k, a| {
        let bytes = with(k, Key::Object(a.va(0)), |parts| parts.flatten());
        let size = bytes.len() as u64;
        let copy = k.allocate_pool(PoolKind::Paged, size, TAG, PoolOwner::Driver, "security descriptor");
        k.write_bytes(copy, &bytes)?;
        k.write(a.va(1), copy)?;
        k.write(a.va(2), 1_u8)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("ObReleaseObjectSecurity", 2, apc, |k, a| {
        if a.bool(1) && !a.va(0).is_null() {
            k.free_system(a.va(0))?;
        }
        Ok(())
    });
}

/// Works on an object's descriptor; one that nobody has given has the default.
fn with<T>(k: &Kernel, key: Key, work: impl FnOnce(&mut Parts) -> T) -> T {
    let descriptors = k.state::<Descriptors>();
    let mut descriptors = descriptors.borrow_mut();
    work(descriptors.0.entry(key).or_insert_with(default_of_object))
}

/// The object that a handle stands for.
fn object_of(k: &Kernel, handle: u64) -> Outcome<Option<Key>> {
    let found = handle::find(k, Handle(handle))?;
    Ok(found.map(|open| open.object.map_or(Key::Name(open.name), Key::Object)))
}

/// `ZwSetSecurityObject(Handle, SecurityInformation, SecurityDescriptor)`: the parts that are meant replace the object's.
fn set(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let Some(key) = object_of(k, a.u64(0))? else {
        return Ok(NtStatus::INVALID_HANDLE);
    };
    if a.va(2).is_null() {
        return Ok(NtStatus::ACCESS_VIOLATION);
    }
    let descriptor = Descriptor::read(k, a.va(2))?;
    if !descriptor.is_valid(k)? {
        return Ok(NtStatus::INVALID_SECURITY_DESCR);
    }
    let (information, new) = (a.u32(1), Parts::of(k, &descriptor)?);
    if information & OWNER != 0 && new.owner.is_empty() {
        return Ok(NtStatus::INVALID_OWNER);
    }
    with(k, key, |parts| {
        if information & OWNER != 0 {
            parts.owner = new.owner;
        }
        if information & GROUP != 0 {
            parts.group = new.group;
        }
        if information & DACL != 0 {
            parts.dacl = new.dacl;
        }
        if information & SACL != 0 {
            parts.sacl = new.sacl;
        }
    });
    Ok(NtStatus::SUCCESS)
}

/// `ZwQuerySecurityObject(Handle, SecurityInformation, SecurityDescriptor, Length, LengthNeeded)`.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let Some(key) = object_of(k, a.u64(0))? else {
        return Ok(NtStatus::INVALID_HANDLE);
    };
    let information = a.u32(1);
    let bytes = with(k, key, |parts| {
        let owner = if information & OWNER == 0 {
            Vec::new()
        } else {
            parts.owner.clone()
        };
        let group = if information & GROUP == 0 {
            Vec::new()
        } else {
            parts.group.clone()
        };
        let dacl = parts.dacl.clone().filter(|_| information & DACL != 0);
        let sacl = parts.sacl.clone().filter(|_| information & SACL != 0);
        let asked = Parts {
            owner,
            group,
            dacl,
            sacl,
        };
        asked.flatten()
    });
    let needed = u32::try_from(bytes.len()).expect("a descriptor is short");
    k.write(a.va(4), needed)?;
    if a.u32(3) < needed {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    k.write_bytes(a.va(2), &bytes)?;
    Ok(NtStatus::SUCCESS)
}
