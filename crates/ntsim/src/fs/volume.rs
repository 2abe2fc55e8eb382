//! The volume: its device, what is asked about it, and its drive letter: `IoVolumeDeviceToDosName`, `RtlVolumeDeviceToDosName`.

use ntlayout::{device_object, driver_object, io_stack_location as stack, unicode_string as string};

use super::{
    dispatch::{DISPATCH, Request, failed},
    information::give,
    with,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io::{
        device,
        driver::{self, LoadedImage},
        irp::{IoStatus, Major},
    },
    ke::{Irql, time},
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    ob::namespace::VOLUME,
    rtl::unicode_string,
    status::NtStatus,
};

/// `FILE_DEVICE_DISK`.
const FILE_DEVICE_DISK: u32 = 7;
/// `FILE_DEVICE_IS_MOUNTED | FILE_DEVICE_SECURE_OPEN`.
const CHARACTERISTICS: u32 = 0x0020 | 0x0100;
/// 16 GiB in clusters of 8 sectors of 512 bytes, half of them free.
const CLUSTERS: u64 = 0x40_0000;
const SECTORS_PER_CLUSTER: u32 = 8;
const BYTES_PER_SECTOR: u32 = 512;
/// The volume's serial number.
const SERIAL_NUMBER: u32 = 0x4E54_5349;

pub(super) fn register(ddi: &mut Registry) {
    for name in ["IoVolumeDeviceToDosName", "RtlVolumeDeviceToDosName"] {
        ddi.function(name, 2, Contract::exactly(Irql::PASSIVE), dos_name);
    }
}

/// Makes the volume's device, once.
pub(crate) fn mount(k: &Kernel) -> Outcome<()> {
    if with(k, |fs| fs.volume.is_some()) {
        return Ok(());
    }
    // Its name is looked up while the device is made.
    with(k, |fs| fs.volume = Some(Va::NULL));
    let nowhere = LoadedImage {
        base: Va::NULL,
        size: 0,
        entry: Va::NULL,
    };
    let driver = driver::create(k, "Ntfs", nowhere)?;
    let routine = k.routine_address(DISPATCH);
    for major in 0..Major::COUNT {
        let entry = driver + driver_object::MAJOR_FUNCTION + usize::from(major) * 8;
        if !matches!(Major(major), Major::PNP | Major::POWER | Major::SYSTEM_CONTROL) {
            k.write(entry, routine)?;
        }
    }
    let spec = device::Spec {
        driver,
        extension_size: 0,
        name: Some(VOLUME.to_owned()),
        device_type: FILE_DEVICE_DISK,
        characteristics: CHARACTERISTICS,
        exclusive: false,
    };
    if let Ok(device) = device::create(k, spec)? {
        k.write(device + device_object::FLAGS, 0_u32)?;
        with(k, |fs| fs.volume = Some(device));
    }
    Ok(())
}

/// `IoVolumeDeviceToDosName(VolumeDeviceObject, DosName)`: the driver frees the buffer.
fn dos_name(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const NAME: &str = "C:";
    let is_volume = with(k, |fs| fs.volume == Some(a.va(0)));
    if !is_volume {
        return Ok(NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    let bytes = unicode_string::encode(NAME);
    let size = bytes.len() as u64 + 2;
    let tag = u32::from_le_bytes(*b"Io  ");
    let buffer = k.allocate_pool(PoolKind::Paged, size, tag, PoolOwner::Driver, "DOS name of a volume");
    k.write_bytes(buffer, &bytes)?;
    k.write(buffer + bytes.len(), 0_u16)?;
    let length = u16::try_from(bytes.len()).expect("two characters");
    k.write(a.va(1) + string::LENGTH, length)?;
    k.write(a.va(1) + string::MAXIMUM_LENGTH, length + 2)?;
    k.write(a.va(1) + string::BUFFER, buffer)?;
    Ok(NtStatus::SUCCESS)
}

/// `IRP_MJ_QUERY_VOLUME_INFORMATION`.
pub(super) fn query(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    const VOLUME_CLASS: u32 = 1;
    const SIZE: u32 = 3;
    const ATTRIBUTE: u32 = 5;
    const FULL_SIZE: u32 = 7;
    let length: u32 = k.read(request.location + stack::PARAMETERS)?;
    let class: u32 = k.read(request.location + stack::PARAMETERS + 8_u64)?;
    let mut bytes = Vec::new();
    let counted = |text: &str| {
        (
            u32::try_from(text.len() * 2).expect("short"),
            unicode_string::encode(text),
        )
    };
    match class {
        VOLUME_CLASS => {
            let (size, label) = counted("Windows");
            bytes.extend(time::as_system_time(0).to_le_bytes());
            bytes.extend(SERIAL_NUMBER.to_le_bytes());
            bytes.extend(size.to_le_bytes());
            // SupportsObjects.
            bytes.extend([1, 0]);
            bytes.extend(label);
        }
        SIZE | FULL_SIZE => {
            bytes.extend(CLUSTERS.to_le_bytes());
            let free = if class == SIZE { 1 } else { 2 };
            for _ in 0..free {
                bytes.extend((CLUSTERS / 2).to_le_bytes());
            }
            bytes.extend(SECTORS_PER_CLUSTER.to_le_bytes());
            bytes.extend(BYTES_PER_SECTOR.to_le_bytes());
        }
        ATTRIBUTE => {
            let (size, name) = counted("NTFS");
            // Names keep their case and are Unicode; they have 255 characters at most.
            bytes.extend(6_u32.to_le_bytes());
            bytes.extend(255_u32.to_le_bytes());
            bytes.extend(size.to_le_bytes());
            bytes.extend(name);
        }
        _ => return Ok(failed(NtStatus::INVALID_PARAMETER)),
    }
    give(k, request, &bytes, length as usize)
}
