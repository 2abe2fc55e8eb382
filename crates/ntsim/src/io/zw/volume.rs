//! What is known of the volume or device that a file is on: `ZwQueryVolumeInformationFile`.

use ntlayout::device_object;

use super::{super::irp::Major, file_of, request::Information};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    ob::handle::{Handle, ZW_CONTRACT},
    status::NtStatus,
};

/// `FileFsDeviceInformation`.
const DEVICE: u32 = 4;
/// The classes that can be queried, with the least that their buffers hold.
const QUERIES: [(u32, u32); 5] = [
    (1, 24), // FileFsVolumeInformation
    (3, 24), // FileFsSizeInformation
    (DEVICE, 8),
    (5, 16), // FileFsAttributeInformation
    (7, 32), // FileFsFullSizeInformation
];

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwQueryVolumeInformationFile", "NtQueryVolumeInformationFile"] {
        ddi.flow(name, 5, ZW_CONTRACT, |k, a| async move { query(&k, &a).await });
    }
}

/// `(FileHandle, IoStatusBlock, FsInformation, Length, FsInformationClass)`
async fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    /// `FileFsMaximumInformation` of Windows 11.
    const MAXIMUM: u32 = 15;
    let (block, buffer, length, class) = (a.va(1), a.va(2), a.u32(3), a.u32(4));
    let least = QUERIES
        .iter()
        .find_map(|&(found, least)| (found == class).then_some(least));
    match least {
        Some(least) if length < least => return Ok(NtStatus::INFO_LENGTH_MISMATCH),
        Some(_) => {}
        None if class == 0 || class >= MAXIMUM => return Ok(NtStatus::INVALID_INFO_CLASS),
        None => {
            return Err(k.not_modelled(format!(
                "ZwQueryVolumeInformationFile with the information class {class} is not modelled"
            )));
        }
    }
    let file = match file_of(k, Handle(a.u64(0)))? {
        Ok(file) => file,
        Err(status) => return Ok(status),
    };
    let asked = Information {
        io_status_block: block,
        buffer,
        length,
        class,
    };
    if class == DEVICE {
        // The device object says it all.
        let device = file.device();
        let kind: u32 = k.read(device + device_object::DEVICE_TYPE)?;
        let characteristics: u32 = k.read(device + device_object::CHARACTERISTICS)?;
        k.write(buffer, kind)?;
        k.write(buffer + 4_u64, characteristics)?;
        return asked.answered(k, 8);
    }
    asked.send(k, &file, Major::QUERY_VOLUME_INFORMATION, true).await
}
