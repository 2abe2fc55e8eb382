//! Enumerating a directory: `ZwQueryDirectoryFile`.

use ntlayout::{device_object, io_stack_location as stack, unicode_string};

use super::{
    super::{
        build_request::Passed,
        device::{DO_BUFFERED_IO, DO_DIRECT_IO},
        irp::Major,
    },
    file_of,
    request::{self, Answer},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    ob::handle::{Handle, ZW_CONTRACT},
    rtl,
    status::NtStatus,
};

/// `IRP_MN_QUERY_DIRECTORY`.
const QUERY_DIRECTORY: u8 = 1;
/// `SL_RESTART_SCAN` and `SL_RETURN_SINGLE_ENTRY` of a stack location's flags.
const RESTART_SCAN: u8 = 1;
const RETURN_SINGLE_ENTRY: u8 = 2;

/// The classes, with the bytes of an entry before its name.
const CLASSES: [(u32, u32); 6] = [
    (1, 64),   // FileDirectoryInformation
    (2, 68),   // FileFullDirectoryInformation
    (3, 94),   // FileBothDirectoryInformation
    (12, 12),  // FileNamesInformation
    (37, 104), // FileIdBothDirectoryInformation
    (38, 80),  // FileIdFullDirectoryInformation
];

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwQueryDirectoryFile", "NtQueryDirectoryFile"] {
        ddi.flow(name, 11, ZW_CONTRACT, |k, a| async move { query(&k, &a).await });
    }
}

/// `(FileHandle, Event, ApcRoutine, ApcContext, IoStatusBlock, FileInformation, Length, FileInformationClass, ReturnSingleEntry, FileName,
/// RestartScan)`
async fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (buffer, length, class, name) = (a.va(5), a.u32(6), a.u32(7), a.va(9));
    let Some(&(_, least)) = CLASSES.iter().find(|(found, _)| *found == class) else {
        return Err(k.not_modelled(format!(
            "ZwQueryDirectoryFile with the information class {class} is not modelled"
        )));
    };
    if length < least {
        return Ok(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let file = match file_of(k, Handle(a.u64(0)))? {
        Ok(file) => file,
        Err(status) => return Ok(status),
    };
    let answer = Answer {
        event: Handle(a.u64(1)),
        apc_routine: a.va(2),
        io_status_block: a.va(4),
    };
    let top = file.related_device(k)?;
    let flags: u32 = k.read(top + device_object::FLAGS)?;
    if flags & (DO_BUFFERED_IO | DO_DIRECT_IO) != 0 {
        return Err(k.not_modelled("ZwQueryDirectoryFile on a device with buffered or direct I/O is not modelled"));
    }
    // The pattern is the system's own copy, so that the driver can look at it in any thread.
    let pattern = if name.is_null() {
        Va::NULL
    } else {
        let pattern = k.allocate_system(unicode_string::SIZE, "pattern of a directory query")?;
        rtl::unicode_string::write_new(k, pattern, &rtl::unicode_string::read(k, name)?)?;
        pattern
    };
    let single = if a.bool(8) { RETURN_SINGLE_ENTRY } else { 0 };
    let restart = if a.bool(10) { RESTART_SCAN } else { 0 };
    let passed = Passed {
        user_buffer: buffer,
        ..Passed::default()
    };
    let function = (Major::DIRECTORY_CONTROL, QUERY_DIRECTORY);
    let status = request::send(k, &file, function, answer, passed, !pattern.is_null(), |location| {
        k.write(location + stack::FLAGS, single | restart)?;
        k.write(location + stack::PARAMETERS, length)?;
        k.write(location + stack::PARAMETERS + 8_u64, pattern)?;
        k.write(location + stack::PARAMETERS + 16_u64, class)
    })
    .await?;
    if !pattern.is_null() {
        let text: Va = k.read(pattern + unicode_string::BUFFER)?;
        k.free_system(text)?;
        k.free_system(pattern)?;
    }
    Ok(status)
}
