//! `ZwQueryInformationProcess`, `ZwQueryInformationThread`, `ZwSetInformationThread`.

use super::{
    process::{self, ProcessId},
    query, thread,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    ob::{
        by_handle::CURRENT_THREAD,
        handle::{self, Handle, ZW_CONTRACT},
        object::Type,
        process_of_handle,
    },
    rtl::unicode_string,
    sched::ThreadId,
    status::NtStatus,
};

/// The highest information class of processes, and of threads, that Windows 11 has.
const HIGHEST_PROCESS_CLASS: u32 = 110;
const HIGHEST_THREAD_CLASS: u32 = 57;

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwQueryInformationProcess", "NtQueryInformationProcess"] {
        ddi.function(name, 5, ZW_CONTRACT, query_process);
    }
    for name in ["ZwQueryInformationThread", "NtQueryInformationThread"] {
        ddi.function(name, 5, ZW_CONTRACT, query_thread);
    }
    for name in ["ZwSetInformationThread", "NtSetInformationThread"] {
        ddi.function(name, 4, ZW_CONTRACT, set_thread);
    }
}

/// Writes an answer of a fixed size.
fn answer(k: &Kernel, a: &Args, bytes: &[u8]) -> Outcome<NtStatus> {
    let (buffer, length, returned) = (a.va(2), a.u32(3), a.va(4));
    if length as usize != bytes.len() {
        return Ok(NtStatus::INFO_LENGTH_MISMATCH);
    }
    k.write_bytes(buffer, bytes)?;
    if !returned.is_null() {
        k.write(returned, length)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `(ProcessHandle, ProcessInformationClass, ProcessInformation, ProcessInformationLength, ReturnLength)`
fn query_process(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const BASIC: u32 = 0;
    const DEBUG_PORT: u32 = 7;
    const SESSION: u32 = 24;
    const WOW64: u32 = 26;
    const IMAGE_FILE_NAME: u32 = 27;
    let found = match process_of_handle(k, Handle(a.u64(0)))? {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    match a.u32(1) {
        BASIC => {
            let mut bytes = Vec::new();
            bytes.extend(u64::from(query::exit_status(k, found).0).to_le_bytes());
            // No PEB; all processors; normal priority.
            bytes.extend(0_u64.to_le_bytes());
            bytes.extend(((1_u64 << k.config().processors) - 1).to_le_bytes());
            bytes.extend(8_u64.to_le_bytes());
            bytes.extend(process::number(found).to_le_bytes());
            bytes.extend(query::parent(k, found).to_le_bytes());
            if found != ProcessId::SYSTEM {
                return Err(k.not_modelled(
                    "ZwQueryInformationProcess with ProcessBasicInformation of a program is not modelled: the machine's programs have no PEB",
                ));
            }
            answer(k, a, &bytes)
        }
        // Nobody debugs it, and it is a 64-bit process.
        DEBUG_PORT | WOW64 => answer(k, a, &0_u64.to_le_bytes()),
        SESSION => answer(k, a, &u32::from(found != ProcessId::SYSTEM).to_le_bytes()),
        IMAGE_FILE_NAME => image_file_name(k, a, found),
        class if class > HIGHEST_PROCESS_CLASS => Ok(NtStatus::INVALID_INFO_CLASS),
        class => Err(k.not_modelled(format!(
            "ZwQueryInformationProcess with the information class {class} is not modelled"
        ))),
    }
}

/// A `UNICODE_STRING` with its text behind it. The System process has no image.
fn image_file_name(k: &Kernel, a: &Args, found: ProcessId) -> Outcome<NtStatus> {
    let (buffer, length, returned) = (a.va(2), a.u32(3), a.va(4));
    let path = process::image_path(k, found).unwrap_or_default();
    let bytes = unicode_string::encode(&path);
    let needed = 16 + if bytes.is_empty() { 0 } else { bytes.len() + 2 };
    if !returned.is_null() {
        k.write(returned, u32::try_from(needed).expect("paths are short"))?;
    }
    if (length as usize) < needed {
        return Ok(NtStatus::INFO_LENGTH_MISMATCH);
    }
    k.fill(buffer, 0, needed)?;
    if !bytes.is_empty() {
        let size = u16::try_from(bytes.len()).expect("paths are short");
        k.write(buffer, size)?;
        k.write(buffer + 2_u64, size + 2)?;
        k.write(buffer + 8_u64, buffer + 16_u64)?;
        k.write_bytes(buffer + 16_u64, &bytes)?;
    }
    Ok(NtStatus::SUCCESS)
}

fn thread_of_handle(k: &Kernel, handle: Handle) -> Outcome<Result<ThreadId, NtStatus>> {
    if handle == CURRENT_THREAD {
        return Ok(k.current_thread().ok_or(NtStatus::INVALID_HANDLE));
    }
    Ok(match handle::object_of(k, handle, Type::Thread)? {
        Ok(object) => crate::ke::thread::find(k, object).ok_or(NtStatus::INVALID_HANDLE),
        Err(status) => Err(status),
    })
}

/// `(ThreadHandle, ThreadInformationClass, ThreadInformation, ThreadInformationLength, ReturnLength)`
fn query_thread(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const BASIC: u32 = 0;
    let found = match thread_of_handle(k, Handle(a.u64(0)))? {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    match a.u32(1) {
        BASIC => {
            let status = if k.has_ended(found) {
                NtStatus::SUCCESS
            } else {
                NtStatus::PENDING
            };
            let mut bytes = Vec::new();
            bytes.extend(u64::from(status.0).to_le_bytes());
            // No TEB.
            bytes.extend(0_u64.to_le_bytes());
            bytes.extend(process::number(process::of_thread(k, found)).to_le_bytes());
            bytes.extend(thread::id(found).to_le_bytes());
            bytes.extend(((1_u64 << k.config().processors) - 1).to_le_bytes());
            // Priority and base priority.
            bytes.extend(8_u32.to_le_bytes());
            bytes.extend(8_u32.to_le_bytes());
            answer(k, a, &bytes)
        }
        class if class > HIGHEST_THREAD_CLASS => Ok(NtStatus::INVALID_INFO_CLASS),
        class => Err(k.not_modelled(format!(
            "ZwQueryInformationThread with the information class {class} is not modelled"
        ))),
    }
}

/// `(ThreadHandle, ThreadInformationClass, ThreadInformation, ThreadInformationLength)`: priorities, which this machine's scheduler does not
/// look at, and `ThreadHideFromDebugger`.
fn set_thread(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const PRIORITY: u32 = 2;
    const BASE_PRIORITY: u32 = 3;
    const HIDE_FROM_DEBUGGER: u32 = 17;
    /// The lowest and highest `KPRIORITY`.
    const PRIORITIES: std::ops::RangeInclusive<i32> = 1..=31;
    if let Err(status) = thread_of_handle(k, Handle(a.u64(0)))? {
        return Ok(status);
    }
    let (buffer, length): (Va, u32) = (a.va(2), a.u32(3));
    match a.u32(1) {
        PRIORITY | BASE_PRIORITY if length != 4 => Ok(NtStatus::INFO_LENGTH_MISMATCH),
        PRIORITY => {
            let priority: i32 = k.read(buffer)?;
            Ok(if PRIORITIES.contains(&priority) {
                NtStatus::SUCCESS
            } else {
                NtStatus::INVALID_PARAMETER
            })
        }
        BASE_PRIORITY => Ok(NtStatus::SUCCESS),
        HIDE_FROM_DEBUGGER if length == 0 => Ok(NtStatus::SUCCESS),
        HIDE_FROM_DEBUGGER => Ok(NtStatus::INFO_LENGTH_MISMATCH),
        class if class > HIGHEST_THREAD_CLASS => Ok(NtStatus::INVALID_INFO_CLASS),
        class => Err(k.not_modelled(format!(
            "ZwSetInformationThread with the information class {class} is not modelled"
        ))),
    }
}
