//! A device's registry keys: `IoOpenDeviceRegistryKey`.

use crate::{
    bugcheck::Outcome,
    cm,
    ddi::{Args, Contract, Registry},
    io::driver::SERVICES,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ob::handle::OBJ_KERNEL_HANDLE,
    status::NtStatus,
};

/// `PLUGPLAY_REGKEY_DEVICE`.
const PLUGPLAY_REGKEY_DEVICE: u32 = 1;
/// `PLUGPLAY_REGKEY_DRIVER`.
const PLUGPLAY_REGKEY_DRIVER: u32 = 2;
/// `DriverRegKeyParameters` of `DRIVER_REGKEY_TYPE`.
const DRIVER_REGKEY_PARAMETERS: u32 = 0;

/// Where devices are configured.
const ENUM: &str = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Enum\\";
/// The class of system devices.
pub(in crate::io) const CLASS_GUID: &str = "{4d36e97d-e325-11ce-bfc1-08002be10318}";
/// Where installations of drivers are configured.
const CLASSES: &str = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control\\Class\\";

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoOpenDeviceRegistryKey", 4, contract, open_device_key);
    ddi.function("IoOpenDriverRegistryKey", 5, contract, open_driver_key);
}

/// The path of the hardware key of the device whose physical device object is `pdo`; none when it is none.
pub(crate) fn hardware_key(k: &Kernel, pdo: Va) -> Option<String> {
    let instance = super::instance_path(k, pdo)?;
    Some(format!("{ENUM}{instance}\\Device Parameters"))
}

/// The path of the device's software key, as [`hardware_key`].
fn software_key(k: &Kernel, pdo: Va) -> Option<String> {
    driver_key_name(k, pdo).map(|name| format!("{CLASSES}{name}"))
}

/// The name of the software key below the keys of all classes: `DevicePropertyDriverKeyName`.
pub(in crate::io) fn driver_key_name(k: &Kernel, pdo: Va) -> Option<String> {
    /// Devices on other buses than PCI have numbers from here on, in the order in which they were found.
    const OTHERS: usize = 100;
    let number = match super::slot(k, pdo) {
        Some(slot) => slot.0.into(),
        None => OTHERS + k.io().borrow().pnp.nodes.keys().position(|&known| known == pdo)?,
    };
    Some(format!("{CLASS_GUID}\\{number:04}"))
}

/// The path of the key that the device was enumerated into, where setup keeps most of its properties.
pub(in crate::io) fn device_key(k: &Kernel, pdo: Va) -> Option<String> {
    let instance = super::instance_path(k, pdo)?;
    Some(format!("{ENUM}{instance}"))
}

/// Makes a device's keys, as its installation does.
pub(super) fn create(k: &Kernel, pdo: Va) {
    for path in hardware_key(k, pdo).into_iter().chain(software_key(k, pdo)) {
        cm::create_key(k, &path);
    }
}

/// `IoOpenDeviceRegistryKey(DeviceObject, DevInstKeyType, DesiredAccess, DeviceRegKey)`. There are no hardware profiles.
fn open_device_key(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let pdo = a.va(0);
    let path = match a.u32(1) {
        PLUGPLAY_REGKEY_DEVICE => hardware_key(k, pdo),
        PLUGPLAY_REGKEY_DRIVER => software_key(k, pdo),
        _ => return Ok(NtStatus::INVALID_PARAMETER),
    };
    match path {
        Some(path) => open(k, &path, a.u32(2), a.va(3)),
        None => Ok(NtStatus::INVALID_DEVICE_REQUEST),
    }
}

/// `IoOpenDriverRegistryKey(DriverObject, RegKeyType, DesiredAccess, Flags, DriverRegKey)`.
fn open_driver_key(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let name = k.io().borrow().drivers.name(a.va(0)).map(str::to_owned);
    match (name, a.u32(1), a.u32(3)) {
        (Some(name), DRIVER_REGKEY_PARAMETERS, 0) => {
            let path = format!("{SERVICES}{name}\\Parameters");
            open(k, &path, a.u32(2), a.va(4))
        }
        _ => Ok(NtStatus::INVALID_PARAMETER),
    }
}

/// Opens a kernel handle, whatever thread asks for it.
fn open(k: &Kernel, path: &str, access: u32, variable: Va) -> Outcome<NtStatus> {
    match cm::open(k, path, access, OBJ_KERNEL_HANDLE) {
        Some(handle) => {
            k.write(variable, handle)?;
            Ok(NtStatus::SUCCESS)
        }
        None => Ok(NtStatus::OBJECT_NAME_NOT_FOUND),
    }
}
