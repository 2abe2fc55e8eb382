//! `ZwQuerySystemInformation`: the classes that drivers ask for.

use super::{
    process::{self, ProcessId, Processes},
    query, thread,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    ke::time,
    kernel::Kernel,
    mm::{AddressSpace, PAGE_SIZE, Va, layout},
    ob::handle::ZW_CONTRACT,
    rtl::unicode_string,
    status::NtStatus,
};

/// `SystemBasicInformation`, `SystemTimeOfDayInformation`, `SystemProcessInformation`, `SystemModuleInformation`,
/// `SystemKernelDebuggerInformation`, `SystemCodeIntegrityInformation`.
const BASIC: u32 = 0;
const TIME_OF_DAY: u32 = 3;
const PROCESSES: u32 = 5;
const MODULES: u32 = 11;
const KERNEL_DEBUGGER: u32 = 35;
const CODE_INTEGRITY: u32 = 103;
/// The highest class that Windows 11 has.
const HIGHEST: u32 = 230;

/// Bytes of a `SYSTEM_PROCESS_INFORMATION` and of a `SYSTEM_THREAD_INFORMATION`.
const PROCESS_SIZE: usize = 256;
const THREAD_SIZE: usize = 80;
/// Bytes of an `RTL_PROCESS_MODULE_INFORMATION`.
const MODULE_SIZE: usize = 296;

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwQuerySystemInformation", "NtQuerySystemInformation"] {
        ddi.function(name, 4, ZW_CONTRACT, query);
    }
}

/// `(SystemInformationClass, SystemInformation, SystemInformationLength, ReturnLength)`
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (class, buffer, length, returned) = (a.u32(0), a.va(1), a.u32(2) as usize, a.va(3));
    let (bytes, exact) = match class {
        BASIC => (basic(k), true),
        TIME_OF_DAY => (time_of_day(k), false),
        PROCESSES => (processes(k, buffer), false),
        MODULES => (modules(k), false),
        // KernelDebuggerEnabled, KernelDebuggerNotPresent.
        KERNEL_DEBUGGER => (vec![0, 1], false),
        CODE_INTEGRITY => {
            const ENABLED: u64 = 1;
            (((ENABLED << 32) | 8).to_le_bytes().to_vec(), true)
        }
        class if class > HIGHEST => return Ok(NtStatus::INVALID_INFO_CLASS),
        class => {
            return Err(k.not_modelled(format!(
                "ZwQuerySystemInformation with the information class {class} is not modelled"
            )));
        }
    };
    if !returned.is_null() {
        k.write(returned, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
    }
    // What is told in part is told as far as there is room.
    if class == TIME_OF_DAY && length <= bytes.len() {
        k.write_bytes(buffer, &bytes[..length])?;
        return Ok(NtStatus::SUCCESS);
    }
    if length < bytes.len() || (exact && length != bytes.len()) {
        return Ok(NtStatus::INFO_LENGTH_MISMATCH);
    }
    k.write_bytes(buffer, &bytes)?;
    Ok(NtStatus::SUCCESS)
}

fn basic(k: &Kernel) -> Vec<u8> {
    /// 4 GiB of memory, in pages.
    const PAGES: u32 = 0x10_0000;
    let processors = k.config().processors;
    let mut bytes = Vec::new();
    let page_size = u32::try_from(PAGE_SIZE).expect("4096");
    // Reserved, timer resolution, page size, pages, lowest, highest, allocation granularity, padding.
    for word in [0, 156_250, page_size, PAGES, 1, PAGES, 0x1_0000, 0] {
        bytes.extend(u32::to_le_bytes(word));
    }
    for word in [0x1_0000, 0x7FFF_FFFE_FFFF, (1_u64 << processors) - 1, processors as u64] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

fn time_of_day(k: &Kernel) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Boot time, current time, time zone bias, time zone, boot and sleep time bias.
    for word in [time::as_system_time(0), time::as_system_time(k.now()), 0, 0, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

/// Every process with its threads. `buffer` is where it will lie: names are behind their entries.
fn processes(k: &Kernel, buffer: Va) -> Vec<u8> {
    let all: Vec<ProcessId> = {
        let processes = k.state::<Processes>();
        let processes = processes.borrow();
        let live = processes.all.iter().filter(|(_, found)| found.exited.is_none());
        let live = live
            .map(|(&process, _)| process)
            .filter(|&process| process != ProcessId::SYSTEM);
        std::iter::once(ProcessId::SYSTEM).chain(live).collect()
    };
    // The idle process comes first: number 0, a thread for each processor, no name.
    let mut entries = vec![entry(k, None)];
    entries.extend(all.into_iter().map(|process| entry(k, Some(process))));
    let mut bytes: Vec<u8> = Vec::new();
    let last = entries.len() - 1;
    for (index, (mut entry, name_at)) in entries.into_iter().enumerate() {
        let start = bytes.len();
        if index != last {
            let next = u32::try_from(entry.len()).expect("an entry is small");
            entry[..4].copy_from_slice(&next.to_le_bytes());
        }
        if let Some(name_at) = name_at {
            let address = (buffer + (start + name_at)).get();
            entry[64..72].copy_from_slice(&address.to_le_bytes());
        }
        bytes.extend(entry);
    }
    bytes
}

/// A process's entry, and where in it the name's text is.
fn entry(k: &Kernel, process: Option<ProcessId>) -> (Vec<u8>, Option<usize>) {
    const CREATE_TIME: usize = 32;
    const IMAGE_NAME: usize = 56;
    const BASE_PRIORITY: usize = 72;
    const NUMBER: usize = 80;
    const PARENT: usize = 88;
    const SESSION: usize = 100;
    let mut bytes = vec![0; PROCESS_SIZE];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    let Some(process) = process else {
        put(4, &u32::try_from(k.config().processors).unwrap_or(0).to_le_bytes());
        bytes.resize(PROCESS_SIZE + k.config().processors * THREAD_SIZE, 0);
        return (bytes, None);
    };
    let threads = process::find(k, process).map_or_else(Vec::new, |found| found.threads);
    let name = unicode_string::encode(&process::image_name(k, process));
    let length = u16::try_from(name.len()).expect("names are short");
    put(4, &u32::try_from(threads.len()).unwrap_or(u32::MAX).to_le_bytes());
    put(CREATE_TIME, &query::created(k, process).to_le_bytes());
    put(IMAGE_NAME, &length.to_le_bytes());
    put(IMAGE_NAME + 2, &(length + 2).to_le_bytes());
    put(BASE_PRIORITY, &8_u32.to_le_bytes());
    put(NUMBER, &process::number(process).to_le_bytes());
    put(PARENT, &query::parent(k, process).to_le_bytes());
    put(SESSION, &u32::from(process != ProcessId::SYSTEM).to_le_bytes());
    for thread in threads {
        const CLIENT_ID: usize = 40;
        let mut entry = [0; THREAD_SIZE];
        entry[CLIENT_ID..CLIENT_ID + 8].copy_from_slice(&process::number(process).to_le_bytes());
        entry[CLIENT_ID + 8..CLIENT_ID + 16].copy_from_slice(&thread::id(thread).to_le_bytes());
        entry[56..60].copy_from_slice(&8_u32.to_le_bytes());
        entry[60..64].copy_from_slice(&8_u32.to_le_bytes());
        bytes.extend(entry);
    }
    let name_at = bytes.len();
    bytes.extend(&name);
    bytes.extend([0, 0]);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    (bytes, Some(name_at))
}

/// The kernel, and the drivers behind it: `RTL_PROCESS_MODULES`.
fn modules(k: &Kernel) -> Vec<u8> {
    let kernel = (
        "\\SystemRoot\\system32\\ntoskrnl.exe".to_owned(),
        layout::EXPORTS,
        AddressSpace::round_up(k.registry().exports_length()),
    );
    let code = k.watch().code.borrow();
    let drivers = code.iter().filter(|code| !code.unloaded).map(|code| {
        let path = format!("\\SystemRoot\\system32\\drivers\\{}", code.image.name());
        (path, code.base, u64::from(code.image.size()))
    });
    let all: Vec<(String, Va, u64)> = std::iter::once(kernel).chain(drivers).collect();
    let mut bytes = Vec::new();
    bytes.extend(u64::from(u32::try_from(all.len()).unwrap_or(u32::MAX)).to_le_bytes());
    for (index, (path, base, size)) in all.into_iter().enumerate() {
        let mut entry = [0; MODULE_SIZE];
        entry[16..24].copy_from_slice(&base.get().to_le_bytes());
        entry[24..28].copy_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        let order = u16::try_from(index).unwrap_or(u16::MAX);
        entry[32..34].copy_from_slice(&order.to_le_bytes());
        entry[36..38].copy_from_slice(&1_u16.to_le_bytes());
        let offset = path.rfind('\\').map_or(0, |at| at + 1);
        entry[38..40].copy_from_slice(&u16::try_from(offset).unwrap_or(0).to_le_bytes());
        let text = path.as_bytes();
        let length = text.len().min(255);
        entry[40..40 + length].copy_from_slice(&text[..length]);
        bytes.extend(entry);
    }
    bytes
}
