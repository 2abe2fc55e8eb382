//! The unified device property model: `IoGetDevicePropertyData`, `IoSetDevicePropertyData`, `IoGetDeviceInterfacePropertyData`,
//! `IoSetDeviceInterfacePropertyData`.

use std::collections::BTreeMap;

use super::{
    device::{self, Property},
    string,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io::{device_interface::Guid, pnp},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
};

/// `DEVPROP_TYPE_UINT32`, `DEVPROP_TYPE_GUID`, `DEVPROP_TYPE_STRING`, `DEVPROP_TYPE_STRING_LIST`.
const UINT32: u32 = 0x07;
const GUID: u32 = 0x0D;
const STRING: u32 = 0x12;
const STRING_LIST: u32 = 0x2012;

/// A `DEVPROPKEY`: the category, and the property in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Guid, u32);

/// What has properties: a device by its instance path, or an interface by its link.
type Owner = String;

/// Properties that drivers have set.
#[derive(Debug, Default)]
struct Properties(BTreeMap<(Owner, Key, u32), (u32, Vec<u8>)>);

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoGetDevicePropertyData", 8, contract, |k, a| {
        let Some(owner) = pnp::instance_path(k, a.va(0)) else {
            return Err(pnp::not_a_pdo(k, "IoGetDevicePropertyData", a.va(0)));
        };
        let key = read_key(k, a.va(1))?;
        let set = find(k, &owner, key, a.u32(2));
        let found = set.or_else(|| of_device(k, a.va(0), key));
        give(k, a, found)
    });
    ddi.function("IoSetDevicePropertyData", 7, contract, |k, a| {
        let Some(owner) = pnp::instance_path(k, a.va(0)) else {
            return Err(pnp::not_a_pdo(k, "IoSetDevicePropertyData", a.va(0)));
        };
        set(k, a, owner)
    });
    ddi.function("IoGetDeviceInterfacePropertyData", 8, contract, |k, a| {
        let Some(owner) = interface(k, a.va(0))? else {
            return Ok(NtStatus::OBJECT_NAME_NOT_FOUND);
        };
        let key = read_key(k, a.va(1))?;
        let found = find(k, &owner, key, a.u32(2));
        give(k, a, found)
    });
    ddi.function(
        "IoSetDeviceInterfacePropertyData",
        7,
        contract,
        |k, a| match interface(k, a.va(0))? {
            Some(owner) => set(k, a, owner),
            None => Ok(NtStatus::OBJECT_NAME_NOT_FOUND),
        },
    );
}

/// The interface that a symbolic link names; none when there is none.
fn interface(k: &Kernel, link: Va) -> Outcome<Option<Owner>> {
    let link = unicode_string::read(k, link)?;
    let io = k.io().borrow();
    Ok(io.interfaces.find(&link).map(|found| found.link.clone()))
}

fn read_key(k: &Kernel, at: Va) -> Outcome<Key> {
    let mut category = [0; 16];
    k.read_into(at, &mut category)?;
    Ok(Key(Guid(category), k.read(at + 16_u64)?))
}

/// What a driver has set, for this language or for all.
fn find(k: &Kernel, owner: &str, key: Key, language: u32) -> Option<(u32, Vec<u8>)> {
    let state = k.state::<Properties>();
    let state = state.borrow();
    let get = |language| state.0.get(&(owner.to_owned(), key, language)).cloned();
    get(language).or_else(|| get(0))
}

/// `(…, PropertyKey, Lcid, Flags, Size, Data, RequiredSize, Type)`.
fn give(k: &Kernel, a: &Args, found: Option<(u32, Vec<u8>)>) -> Outcome<NtStatus> {
    let (size, buffer, required, kind) = (a.u32(4), a.va(5), a.va(6), a.va(7));
    let Some((type_, data)) = found else {
        return Ok(NtStatus::OBJECT_NAME_NOT_FOUND);
    };
    let needed = u32::try_from(data.len()).expect("properties are small");
    k.write(required, needed)?;
    k.write(kind, type_)?;
    if needed > size {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    k.write_bytes(buffer, &data)?;
    Ok(NtStatus::SUCCESS)
}

/// `(…, PropertyKey, Lcid, Flags, Type, Size, Data)`: no data deletes the property.
fn set(k: &Kernel, a: &Args, owner: Owner) -> Outcome<NtStatus> {
    const PERSISTENT: u32 = 1;
    let (key, language, flags) = (read_key(k, a.va(1))?, a.u32(2), a.u32(3));
    let (kind, size, data) = (a.u32(4), a.u32(5), a.va(6));
    if flags & !PERSISTENT != 0 {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let state = k.state::<Properties>();
    let place = (owner, key, language);
    if size == 0 && data.is_null() {
        state.borrow_mut().0.remove(&place);
        return Ok(NtStatus::SUCCESS);
    }
    let bytes = k.read_bytes(data, size as usize)?;
    state.borrow_mut().0.insert(place, (kind, bytes));
    Ok(NtStatus::SUCCESS)
}

/// The `DEVPKEY_Device_…` that correspond to what `IoGetDeviceProperty` gives, by their numbers in that category.
const DEVICE_PROPERTIES: [(u32, Property, u32); 15] = [
    (2, Property::DESCRIPTION, STRING),
    (3, Property::HARDWARE_ID, STRING_LIST),
    (4, Property::COMPATIBLE_IDS, STRING_LIST),
    (9, Property::CLASS_NAME, STRING),
    (10, Property::CLASS_GUID, GUID),
    (11, Property::DRIVER_KEY_NAME, STRING),
    (13, Property::MANUFACTURER, STRING),
    (14, Property::FRIENDLY_NAME, STRING),
    (15, Property::LOCATION_INFORMATION, STRING),
    (16, Property::OBJECT_NAME, STRING),
    (21, Property::BUS_TYPE_GUID, GUID),
    (22, Property::LEGACY_BUS_TYPE, UINT32),
    (23, Property::BUS_NUMBER, UINT32),
    (24, Property::ENUMERATOR_NAME, STRING),
    (30, Property::ADDRESS, UINT32),
];

/// What the system itself knows of a device.
fn of_device(k: &Kernel, pdo: Va, Key(category, number): Key) -> Option<(u32, Vec<u8>)> {
    let device = Guid::from_fields(
        0xA45C_254E,
        0xDF1C,
        0x4EFD,
        [0x80, 0x20, 0x67, 0xD1, 0x46, 0xA8, 0x50, 0xE0],
    );
    let instance = Guid::from_fields(
        0x78C3_4FC8,
        0x104A,
        0x4ACA,
        [0x9E, 0xA4, 0x52, 0x4D, 0x52, 0x99, 0x6E, 0x57],
    );
    if category == instance && number == 256 {
        return Some((STRING, string(&pnp::instance_path(k, pdo)?)));
    }
    if category != device {
        return None;
    }
    let (_, property, kind) = DEVICE_PROPERTIES.into_iter().find(|&(pid, ..)| pid == number)?;
    let data = device::value(k, pdo, property)?;
    if property == Property::CLASS_GUID {
        // Here it is a GUID, not its text.
        let text: Vec<u16> = data
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let text = String::from_utf16_lossy(&text);
        return Guid::parse(text.trim_end_matches('\0')).map(|guid| (kind, guid.0.to_vec()));
    }
    Some((kind, data))
}
