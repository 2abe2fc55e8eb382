//! What is known of an open file: `ZwQueryInformationFile`, `ZwSetInformationFile`.
//!
//! What the I/O manager knows by itself it answers by itself; everything else it asks the device's drivers.

use std::rc::Rc;

use ntlayout::{device_object, file_object};

use super::{
    super::{file::File, irp::Major},
    file_of,
    request::Information,
};
use crate::{
    bugcheck::Outcome,
    ddi::Registry,
    kernel::Kernel,
    mm::Va,
    ob::handle::{Handle, ZW_CONTRACT},
    status::NtStatus,
};

/// `FilePositionInformation`.
const POSITION: u32 = 14;
/// `FileAccessInformation`.
const ACCESS: u32 = 8;
/// `FileAlignmentInformation`.
const ALIGNMENT: u32 = 17;

/// The classes that can be queried, with the least that their buffers hold.
const QUERIES: [(u32, u32); 14] = [
    (4, 40), // FileBasicInformation
    (5, 24), // FileStandardInformation
    (6, 8),  // FileInternalInformation
    (7, 4),  // FileEaInformation
    (ACCESS, 4),
    (9, 8), // FileNameInformation
    (POSITION, 8),
    (16, 4), // FileModeInformation
    (ALIGNMENT, 4),
    (18, 104), // FileAllInformation
    (21, 8),   // FileAlternateNameInformation
    (22, 32),  // FileStreamInformation
    (34, 56),  // FileNetworkOpenInformation
    (35, 8),   // FileAttributeTagInformation
];

/// The classes that can be set, with the least that their buffers hold.
const SETTINGS: [(u32, u32); 6] = [
    (4, 40),  // FileBasicInformation
    (10, 24), // FileRenameInformation
    (13, 1),  // FileDispositionInformation
    (POSITION, 8),
    (19, 8), // FileAllocationInformation
    (20, 8), // FileEndOfFileInformation
];

pub(super) fn register(ddi: &mut Registry) {
    // (FileHandle, IoStatusBlock, FileInformation, Length, FileInformationClass)
    for name in ["ZwQueryInformationFile", "NtQueryInformationFile"] {
        ddi.flow(name, 5, ZW_CONTRACT, |k, a| async move {
            query(&k, Handle(a.u64(0)), a.va(1), a.va(2), a.u32(3), a.u32(4)).await
        });
    }
    for name in ["ZwSetInformationFile", "NtSetInformationFile"] {
        ddi.flow(name, 5, ZW_CONTRACT, |k, a| async move {
            set(&k, Handle(a.u64(0)), a.va(1), a.va(2), a.u32(3), a.u32(4)).await
        });
    }
}

/// Whether a buffer is long enough for a class, which must be one that the machine knows.
fn check(k: &Kernel, routine: &str, known: &[(u32, u32)], class: u32, length: u32) -> Outcome<Result<(), NtStatus>> {
    /// `FileMaximumInformation` of Windows 11.
    const MAXIMUM: u32 = 77;
    let least = known
        .iter()
        .find_map(|&(found, least)| (found == class).then_some(least));
    match least {
        Some(least) if length < least => Ok(Err(NtStatus::INFO_LENGTH_MISMATCH)),
        Some(_) => Ok(Ok(())),
        None if class == 0 || class >= MAXIMUM => Ok(Err(NtStatus::INVALID_INFO_CLASS)),
        None => Err(k.not_modelled(format!("{routine} with the information class {class} is not modelled"))),
    }
}

/// `ZwQueryInformationFile`.
pub(super) async fn query(
    k: &Kernel,
    handle: Handle,
    io_status_block: Va,
    buffer: Va,
    length: u32,
    class: u32,
) -> Outcome<NtStatus> {
    if let Err(status) = check(k, "ZwQueryInformationFile", &QUERIES, class, length)? {
        return Ok(status);
    }
    let file = match file_of(k, handle)? {
        Ok(file) => file,
        Err(status) => return Ok(status),
    };
    let asked = Information {
        io_status_block,
        buffer,
        length,
        class,
    };
    if let Some(answered) = known_here(k, &file, class)? {
        k.write_bytes(buffer, &answered)?;
        return asked.answered(k, answered.len() as u64);
    }
    asked.send(k, &file, Major::QUERY_INFORMATION, true).await
}

/// What the I/O manager answers by itself.
fn known_here(k: &Kernel, file: &Rc<File>, class: u32) -> Outcome<Option<Vec<u8>>> {
    Ok(match class {
        POSITION if file.is_synchronous() => {
            let position: i64 = k.read(file.object() + file_object::CURRENT_BYTE_OFFSET)?;
            Some(position.to_le_bytes().to_vec())
        }
        ACCESS => Some(file.access.to_le_bytes().to_vec()),
        ALIGNMENT => {
            let top = file.related_device(k)?;
            let alignment: u32 = k.read(top + device_object::ALIGNMENT_REQUIREMENT)?;
            Some(alignment.to_le_bytes().to_vec())
        }
        _ => None,
    })
}

/// `ZwSetInformationFile`.
async fn set(
    k: &Kernel,
    handle: Handle,
    io_status_block: Va,
    buffer: Va,
    length: u32,
    class: u32,
) -> Outcome<NtStatus> {
    if let Err(status) = check(k, "ZwSetInformationFile", &SETTINGS, class, length)? {
        return Ok(status);
    }
    let file = match file_of(k, handle)? {
        Ok(file) => file,
        Err(status) => return Ok(status),
    };
    let asked = Information {
        io_status_block,
        buffer,
        length,
        class,
    };
    if class == POSITION && file.is_synchronous() {
        let position: i64 = k.read(buffer)?;
        if position < 0 {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        k.write(file.object() + file_object::CURRENT_BYTE_OFFSET, position)?;
        return asked.answered(k, 0);
    }
    asked.send(k, &file, Major::SET_INFORMATION, false).await
}
