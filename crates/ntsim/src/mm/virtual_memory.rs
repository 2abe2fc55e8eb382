//! A process's memory as drivers allocate it: `ZwAllocateVirtualMemory`, `ZwFreeVirtualMemory`.

use super::{PAGE_SIZE, Va};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    ob::{
        handle::{Handle, ZW_CONTRACT},
        process_of_handle,
    },
    status::NtStatus,
};

/// `MEM_COMMIT`, `MEM_RESERVE`, `MEM_TOP_DOWN`.
const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const MEM_TOP_DOWN: u32 = 0x0010_0000;
/// `MEM_RELEASE`.
const MEM_RELEASE: u32 = 0x8000;
/// `PAGE_READONLY` and `PAGE_READWRITE`, and the same with execution.
const READ_ONLY: [u32; 2] = [0x02, 0x20];
const READ_WRITE: [u32; 2] = [0x04, 0x40];

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwAllocateVirtualMemory", "NtAllocateVirtualMemory"] {
        ddi.function(name, 6, ZW_CONTRACT, allocate);
    }
    for name in ["ZwFreeVirtualMemory", "NtFreeVirtualMemory"] {
        ddi.function(name, 4, ZW_CONTRACT, free);
    }
}

/// `ZwAllocateVirtualMemory(ProcessHandle, BaseAddress, ZeroBits, RegionSize, AllocationType, Protect)`.
fn allocate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (base, size, kind, protection) = (a.va(1), a.va(3), a.u32(4), a.u32(5));
    let process = match process_of_handle(k, Handle(a.u64(0)))? {
        Ok(process) => process,
        Err(status) => return Ok(status),
    };
    let length: u64 = k.read(size)?;
    if length == 0 || length > 1 << 32 {
        return Ok(NtStatus::INVALID_PARAMETER_4);
    }
    let given: Va = k.read(base)?;
    if !given.is_null() || kind & !MEM_TOP_DOWN & !MEM_RESERVE != MEM_COMMIT {
        return Err(k.not_modelled(format!(
            "ZwAllocateVirtualMemory at {given} with the allocation type {kind:#x} is not modelled: memory is committed where the system likes"
        )));
    }
    let read_only = READ_ONLY.contains(&protection);
    if !read_only && !READ_WRITE.contains(&protection) {
        return Ok(NtStatus::INVALID_PAGE_PROTECTION);
    }
    if !k.watch().space.borrow().has_ram(length) {
        return Ok(NtStatus::NO_MEMORY);
    }
    let start = k.allocate_user_in(process, 0, length);
    k.note_made_by_driver(start);
    if read_only {
        k.protect_user(start, false);
    }
    k.write(base, start)?;
    k.write(size, length.div_ceil(PAGE_SIZE) * PAGE_SIZE)?;
    Ok(NtStatus::SUCCESS)
}

/// `ZwFreeVirtualMemory(ProcessHandle, BaseAddress, RegionSize, FreeType)`.
fn free(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (base, size, kind) = (a.va(1), a.va(2), a.u32(3));
    let process = match process_of_handle(k, Handle(a.u64(0)))? {
        Ok(process) => process,
        Err(status) => return Ok(status),
    };
    if kind != MEM_RELEASE {
        return Err(k.not_modelled(format!(
            "ZwFreeVirtualMemory with the free type {kind:#x} is not modelled: MEM_RELEASE is"
        )));
    }
    let (start, length): (Va, u64) = (k.read(base)?, k.read(size)?);
    Ok(match k.user_region(process, start) {
        Some((found, whole, false)) if found == start && (length == 0 || length == whole) => {
            k.free_user(start);
            k.write(size, whole)?;
            NtStatus::SUCCESS
        }
        Some((.., false)) => NtStatus::FREE_VM_NOT_AT_BASE,
        Some((.., true)) => NtStatus::UNABLE_TO_DELETE_SECTION,
        None => NtStatus::MEMORY_NOT_ALLOCATED,
    })
}
