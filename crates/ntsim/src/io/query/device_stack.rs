//! Up and down a device's stack, and a driver's devices: `IoGetAttachedDevice`, `IoGetLowerDeviceObject`,
//! `IoGetDeviceAttachmentBaseRef`, `IoEnumerateDeviceObjectList`,
//! `IoGetDiskDeviceObject`, `IoAttachDeviceToDeviceStackSafe`, `IoAttachDeviceByPointer`, `IoGetDeviceNumaNode`.
//!
//! No volume is ever mounted here: no device has a volume parameter block with a file system, as documented for devices that are no
//! storage.

use ntlayout::{device_object, driver_object};

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io::{device, pnp},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ob::reference::reference,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoGetAttachedDevice", 1, contract, |k, a| {
        device::top_of_stack(k, a.va(0))
    });
    ddi.function("IoGetLowerDeviceObject", 1, contract, |k, a| {
        let below = k.io().borrow().devices.below(a.va(0));
        match below {
            Some(below) => {
                reference(k, below)?;
                Ok(below)
            }
            None => Ok(Va::NULL),
        }
    });
    ddi.function("IoGetDeviceAttachmentBaseRef", 1, contract, |k, a| {
        let bottom = device::bottom_of_stack(k, a.va(0));
        reference(k, bottom)?;
        Ok(bottom)
    });
    ddi.function("IoEnumerateDeviceObjectList", 4, contract, enumerate);
    ddi.function("IoGetDiskDeviceObject", 2, contract, |_, _| {
        Ok(NtStatus::INVALID_PARAMETER)
    });
    ddi.function("IoAttachDeviceToDeviceStackSafe", 3, contract, |k, a| {
        let attached_to = device::attach(k, a.va(0), a.va(1))?;
        k.write(a.va(2), attached_to)?;
        Ok(status_of(attached_to))
    });
    ddi.function("IoAttachDeviceByPointer", 2, contract, |k, a| {
        device::attach(k, a.va(0), a.va(1)).map(status_of)
    });
    ddi.function("IoGetDeviceNumaNode", 2, Contract::exactly(Irql::PASSIVE), |k, a| {
        if pnp::instance_path(k, a.va(0)).is_none() {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        // The machine has one node: no device is near another.
        Ok(NtStatus::NOT_FOUND)
    });
}

fn status_of(attached_to: Va) -> NtStatus {
    if attached_to.is_null() {
        NtStatus::NO_SUCH_DEVICE
    } else {
        NtStatus::SUCCESS
    }
}

/// `IoEnumerateDeviceObjectList(DriverObject, DeviceObjectList, DeviceObjectListSize, ActualNumberDeviceObjects)`: as many devices as there
/// is room for, referenced.
fn enumerate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (driver, list, size, actual) = (a.va(0), a.va(1), a.u32(2), a.va(3));
    let room = size / 8;
    let mut device: Va = k.read(driver + driver_object::DEVICE_OBJECT)?;
    let mut count = 0_u32;
    while !device.is_null() {
        if count < room {
            k.write(list + u64::from(count) * 8, device)?;
            reference(k, device)?;
        }
        count += 1;
        device = k.read(device + device_object::NEXT_DEVICE)?;
    }
    k.write(actual, count)?;
    Ok(if count <= room {
        NtStatus::SUCCESS
    } else {
        NtStatus::BUFFER_TOO_SMALL
    })
}
