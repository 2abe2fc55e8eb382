//! `IoGetDeviceProperty`: what setup and the bus driver know of a device.
//!
//! What the device's key in the registry says comes first, as on Windows, where setup writes most of these properties there.

use super::{requirements, string, strings};
use crate::{
    bugcheck::Outcome,
    bus::Slot,
    cm::{self, Value},
    ddi::{Args, Contract, Registry},
    io::pnp::{self, DeviceState, registry_key},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `PCIBus` of `INTERFACE_TYPE`.
const PCI_BUS: u32 = 5;
/// `RemovalPolicyExpectNoRemoval`.
const NO_REMOVAL_EXPECTED: u32 = 1;
/// The container of devices that are part of the computer.
const COMPUTER: &str = "{00000000-0000-0000-ffff-ffffffffffff}";
/// What Windows calls a PCI device that no INF names.
const DESCRIPTION: &str = "PCI Device";
/// What a device that is not on the PCI bus is called.
const SOFTWARE_DEVICE: &str = "Software Device";
const MANUFACTURER: &str = "(Standard system devices)";
const CLASS: &str = "System";

/// A value of `DEVICE_REGISTRY_PROPERTY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Property(pub u32);

impl Property {
    pub(super) const DESCRIPTION: Self = Self(0);
    pub(super) const HARDWARE_ID: Self = Self(1);
    pub(super) const COMPATIBLE_IDS: Self = Self(2);
    const BOOT_CONFIGURATION: Self = Self(3);
    const BOOT_CONFIGURATION_TRANSLATED: Self = Self(4);
    pub(super) const CLASS_NAME: Self = Self(5);
    pub(super) const CLASS_GUID: Self = Self(6);
    pub(super) const DRIVER_KEY_NAME: Self = Self(7);
    pub(super) const MANUFACTURER: Self = Self(8);
    pub(super) const FRIENDLY_NAME: Self = Self(9);
    pub(super) const LOCATION_INFORMATION: Self = Self(10);
    pub(super) const OBJECT_NAME: Self = Self(11);
    pub(super) const BUS_TYPE_GUID: Self = Self(12);
    pub(super) const LEGACY_BUS_TYPE: Self = Self(13);
    pub(super) const BUS_NUMBER: Self = Self(14);
    pub(super) const ENUMERATOR_NAME: Self = Self(15);
    pub(super) const ADDRESS: Self = Self(16);
    const UI_NUMBER: Self = Self(17);
    const INSTALL_STATE: Self = Self(18);
    const REMOVAL_POLICY: Self = Self(19);
    const RESOURCE_REQUIREMENTS: Self = Self(20);
    const ALLOCATED_RESOURCES: Self = Self(21);
    const CONTAINER_ID: Self = Self(22);

    /// The value of the device's key that holds it.
    const fn value_name(self) -> Option<&'static str> {
        Some(match self {
            Self::DESCRIPTION => "DeviceDesc",
            Self::HARDWARE_ID => "HardwareID",
            Self::COMPATIBLE_IDS => "CompatibleIDs",
            Self::CLASS_NAME => "Class",
            Self::CLASS_GUID => "ClassGUID",
            Self::DRIVER_KEY_NAME => "Driver",
            Self::MANUFACTURER => "Mfg",
            Self::FRIENDLY_NAME => "FriendlyName",
            Self::LOCATION_INFORMATION => "LocationInformation",
            Self::UI_NUMBER => "UINumber",
            Self::CONTAINER_ID => "ContainerID",
            _ => return None,
        })
    }
}

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoGetDeviceProperty", 5, contract, get);
}

/// `IoGetDeviceProperty(DeviceObject, DeviceProperty, BufferLength, PropertyBuffer, ResultLength)`.
fn get(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (pdo, property, length) = (a.va(0), Property(a.u32(1)), a.u32(2));
    let (buffer, result_length) = (a.va(3), a.va(4));
    if pnp::instance_path(k, pdo).is_none() {
        return Err(pnp::not_a_pdo(k, "IoGetDeviceProperty", pdo));
    }
    if property.0 > Property::CONTAINER_ID.0 {
        k.write(result_length, 0_u32)?;
        return Ok(NtStatus::INVALID_PARAMETER_2);
    }
    let Some(data) = value(k, pdo, property) else {
        k.write(result_length, 0_u32)?;
        return Ok(NtStatus::OBJECT_NAME_NOT_FOUND);
    };
    let needed = u32::try_from(data.len()).expect("properties are small");
    k.write(result_length, needed)?;
    if needed > length {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    k.write_bytes(buffer, &data)?;
    Ok(NtStatus::SUCCESS)
}

/// A property's bytes; none when the device does not have it.
pub(super) fn value(k: &Kernel, pdo: Va, property: Property) -> Option<Vec<u8>> {
    if let Some(name) = property.value_name()
        && let Some(value) = registry_key::device_key(k, pdo).and_then(|path| cm::value(k, &path, name))
    {
        return Some(value_data(&value));
    }
    match property {
        Property::DRIVER_KEY_NAME => registry_key::driver_key_name(k, pdo).map(|name| string(&name)),
        Property::ENUMERATOR_NAME => {
            let path = pnp::instance_path(k, pdo)?;
            path.split('\\').next().map(string)
        }
        Property::OBJECT_NAME => pnp::object_name(k, pdo).map(|name| string(&name)),
        Property::INSTALL_STATE => Some(0_u32.to_le_bytes().to_vec()),
        Property::CONTAINER_ID => Some(string(COMPUTER)),
        _ => match pnp::slot(k, pdo) {
            Some(slot) => of_pci(k, pdo, slot, property),
            None => of_setup(property),
        },
    }
}

fn value_data(value: &Value) -> Vec<u8> {
    value.data()
}

/// What setup knows of a device that is not on the PCI bus. A device that has been installed has a description, whatever bus it is on.
fn of_setup(property: Property) -> Option<Vec<u8>> {
    match property {
        Property::DESCRIPTION => Some(string(SOFTWARE_DEVICE)),
        Property::CLASS_NAME => Some(string(CLASS)),
        Property::CLASS_GUID => Some(string(registry_key::CLASS_GUID)),
        Property::MANUFACTURER => Some(string(MANUFACTURER)),
        Property::UI_NUMBER => Some(u32::MAX.to_le_bytes().to_vec()),
        _ => None,
    }
}

/// What setup and the PCI bus driver know of the device in `slot`.
fn of_pci(k: &Kernel, pdo: Va, slot: Slot, property: Property) -> Option<Vec<u8>> {
    let bus = k.bus().borrow();
    let function = bus.function(slot);
    let number = |value: u32| Some(value.to_le_bytes().to_vec());
    match property {
        Property::DESCRIPTION => Some(string(DESCRIPTION)),
        Property::HARDWARE_ID => Some(strings(&function.hardware_ids())),
        Property::COMPATIBLE_IDS => Some(strings(&compatible_ids(function.device().identity()))),
        Property::BOOT_CONFIGURATION => Some(function.resources().raw_list()),
        Property::BOOT_CONFIGURATION_TRANSLATED => {
            let processors = (1 << k.config().processors) - 1;
            Some(function.resources().translated_list(processors))
        }
        Property::CLASS_NAME => Some(string(CLASS)),
        Property::CLASS_GUID => Some(string(registry_key::CLASS_GUID)),
        Property::MANUFACTURER => Some(string(MANUFACTURER)),
        Property::LOCATION_INFORMATION => Some(string(&format!("PCI bus 0, device {}, function 0", slot.0))),
        Property::BUS_TYPE_GUID => Some(pnp::GUID_BUS_TYPE_PCI.to_vec()),
        Property::LEGACY_BUS_TYPE => number(PCI_BUS),
        Property::BUS_NUMBER => number(0),
        // The device number in the upper half, the function number in the lower.
        Property::ADDRESS => number(u32::from(slot.0) << 16),
        Property::UI_NUMBER => number(u32::MAX),
        Property::REMOVAL_POLICY => number(NO_REMOVAL_EXPECTED),
        Property::RESOURCE_REQUIREMENTS => Some(requirements::list(function)),
        Property::ALLOCATED_RESOURCES => {
            let started = DeviceState::Started..DeviceState::Removed;
            let is_started = pnp::state(k, pdo).is_some_and(|state| started.contains(&state));
            is_started.then(|| function.resources().raw_list())
        }
        _ => None,
    }
}

/// The compatible ids that "Identifiers for PCI Devices" lists, the most specific first.
fn compatible_ids(id: crate::bus::PciIdentity) -> Vec<String> {
    let (vendor, device) = (format!("PCI\\VEN_{:04X}", id.vendor), format!("&DEV_{:04X}", id.device));
    let (class, subclass) = (format!("CC_{:06X}", id.class), format!("CC_{:04X}", id.class >> 8));
    vec![
        format!("{vendor}{device}&REV_{:02X}", id.revision),
        format!("{vendor}{device}"),
        format!("{vendor}&{class}"),
        format!("{vendor}&{subclass}"),
        vendor,
        format!("PCI\\{class}"),
        format!("PCI\\{subclass}"),
    ]
}
