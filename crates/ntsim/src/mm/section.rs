//! Sections and their views: `ZwOpenSection`, `ZwCreateSection`, `ZwMapViewOfSection`, `ZwUnmapViewOfSection`.
//!
//! `\Device\PhysicalMemory` is a section that shows RAM and devices by physical address. Other sections are backed by the paging file: memory
//! of their own, which is here until the last handle, reference and view have gone. Sections of files are not modelled.

use std::collections::BTreeMap;

use super::{AddressSpace, PAGE_SIZE, Pa, Va};
use crate::{
    bugcheck::Outcome,
    bus,
    ddi::{Args, Registry},
    kernel::Kernel,
    ob::{
        attributes, by_handle,
        handle::{self, Handle, ZW_CONTRACT},
        namespace::{self, Found},
        object::{self, Body, Type},
        process_of_handle,
    },
    ps::ProcessId,
    status::NtStatus,
};

/// `PAGE_READONLY`, `PAGE_READWRITE`, `PAGE_WRITECOPY`, `PAGE_EXECUTE_READ`, `PAGE_EXECUTE_READWRITE`.
const PROTECTIONS: [(u32, bool); 5] = [(0x02, false), (0x04, true), (0x08, false), (0x20, false), (0x40, true)];
/// `PAGE_GUARD`, `PAGE_NOCACHE`, `PAGE_WRITECOMBINE`: they say how memory is cached.
const MODIFIERS: u32 = 0x0000_0700;
/// `SEC_RESERVE`.
const SEC_RESERVE: u32 = 0x0400_0000;
/// `SEC_COMMIT`.
const SEC_COMMIT: u32 = 0x0800_0000;
/// Views of other sections begin at a multiple of it; those of physical memory at a page.
const GRANULARITY: u64 = 0x1_0000;

/// What a section shows.
#[derive(Clone, Debug)]
enum Source {
    Physical,
    /// Its memory, and whether it may be written to.
    PagingFile {
        frames: Vec<Pa>,
        writable: bool,
    },
}

/// All sections.
#[derive(Debug, Default)]
struct Sections {
    by_object: BTreeMap<Va, Source>,
}

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwOpenSection", "NtOpenSection"] {
        ddi.flow(name, 3, ZW_CONTRACT, |k, a| async move { open(&k, &a).await });
    }
    for name in ["ZwCreateSection", "NtCreateSection"] {
        ddi.flow(name, 7, ZW_CONTRACT, |k, a| async move { create(&k, &a).await });
    }
    for name in ["ZwMapViewOfSection", "NtMapViewOfSection"] {
        ddi.function(name, 10, ZW_CONTRACT, map_view);
    }
    for name in ["ZwUnmapViewOfSection", "NtUnmapViewOfSection"] {
        ddi.function(name, 2, ZW_CONTRACT, |k, a| {
            let process = match process_of_handle(k, Handle(a.u64(0)))? {
                Ok(process) => process,
                Err(status) => return Ok(status),
            };
            Ok(match k.user_region(process, a.va(1)) {
                Some((start, _, true)) => {
                    k.free_user(start);
                    NtStatus::SUCCESS
                }
                _ => NtStatus::NOT_MAPPED_VIEW,
            })
        });
    }
}

/// Gives the section of physical memory its place in the namespace.
pub(crate) fn create_physical_memory(k: &Kernel) -> Outcome<Va> {
    let section = object::create_opaque(k, Type::Section, Body::Other, true)?;
    k.state::<Sections>()
        .borrow_mut()
        .by_object
        .insert(section, Source::Physical);
    Ok(section)
}

/// `ZwOpenSection(SectionHandle, DesiredAccess, ObjectAttributes)`.
async fn open(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let section = match attributes.find(k, false)? {
        Ok(Found::Object(section)) if object::type_of(k, section) == Some(Type::Section) => section,
        Ok(_) => return Ok(NtStatus::OBJECT_TYPE_MISMATCH),
        Err(status) => return Ok(status),
    };
    let handle = by_handle::open(k, section, a.u32(1), attributes.flags).await?;
    k.write(a.va(0), handle)?;
    Ok(NtStatus::SUCCESS)
}

/// `ZwCreateSection(SectionHandle, DesiredAccess, ObjectAttributes, MaximumSize, SectionPageProtection, AllocationAttributes, FileHandle)`.
async fn create(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (maximum, protection, allocation, file) = (a.va(3), a.u32(4), a.u32(5), a.u64(6));
    if file != 0 {
        return Err(k.not_modelled("ZwCreateSection of a file is not modelled: read the file with ZwReadFile"));
    }
    if allocation & !(SEC_COMMIT | SEC_RESERVE) != 0 || allocation == 0 {
        return Err(k.not_modelled(format!(
            "ZwCreateSection with the allocation attributes {allocation:#x} is not modelled: SEC_COMMIT and SEC_RESERVE are"
        )));
    }
    let Some(writable) = writable(protection) else {
        return Ok(NtStatus::INVALID_PAGE_PROTECTION);
    };
    let size: u64 = if maximum.is_null() { 0 } else { k.read(maximum)? };
    if size == 0 || size > 1 << 32 {
        return Ok(NtStatus::INVALID_PARAMETER_4);
    }
    if !k.watch().space.borrow().has_ram(size) {
        return Ok(NtStatus::SECTION_TOO_BIG);
    }
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let section = object::create_opaque(k, Type::Section, Body::Other, attributes.permanent())?;
    if let Some(name) = &attributes.name
        && let Err(status) = namespace::insert(k, attributes.start, name, section)?
    {
        object::destroy(k, section)?;
        return Ok(status);
    }
    let start = k.reserve_ram(size);
    let pages = size.div_ceil(PAGE_SIZE);
    let frames = (0..pages).map(|page| start + page * PAGE_SIZE).collect();
    let source = Source::PagingFile { frames, writable };
    k.state::<Sections>().borrow_mut().by_object.insert(section, source);
    let handle = by_handle::open(k, section, a.u32(1), attributes.flags).await?;
    k.write(a.va(0), handle)?;
    Ok(NtStatus::SUCCESS)
}

/// Whether a protection lets memory be written to; none when it is no protection of a section.
fn writable(protection: u32) -> Option<bool> {
    let plain = protection & !MODIFIERS;
    PROTECTIONS
        .iter()
        .find_map(|&(known, writable)| (known == plain).then_some(writable))
}

/// `ZwMapViewOfSection(SectionHandle, ProcessHandle, BaseAddress, ZeroBits, CommitSize, SectionOffset, ViewSize, InheritDisposition,
/// AllocationType, Win32Protect)`.
fn map_view(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (base, offset, size, protection) = (a.va(2), a.va(5), a.va(6), a.u32(9));
    let section = match handle::object_of(k, Handle(a.u64(0)), Type::Section)? {
        Ok(section) => section,
        Err(status) => return Ok(status),
    };
    let process = match process_of_handle(k, Handle(a.u64(1)))? {
        Ok(process) => process,
        Err(status) => return Ok(status),
    };
    let Some(source) = k.state::<Sections>().borrow().by_object.get(&section).cloned() else {
        return Ok(NtStatus::INVALID_HANDLE);
    };
    let Some(writes) = writable(protection) else {
        return Ok(NtStatus::INVALID_PAGE_PROTECTION);
    };
    if k.read::<Va>(base)? != Va::NULL {
        return Err(
            k.not_modelled("ZwMapViewOfSection at a given base address is not modelled: pass a null base address")
        );
    }
    let asked: u64 = if offset.is_null() { 0 } else { k.read(offset)? };
    let length: u64 = k.read(size)?;
    let view = View {
        process,
        offset: asked,
        length,
        writes,
    };
    let (view, frames) = match frames_of(k, &source, view)? {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let start = k.map_view(view.process, frames, view.writes);
    k.note_made(start);
    // A view of physical memory that begins in the middle of a page is given by the address of the byte.
    k.write(base, start)?;
    if !offset.is_null() {
        k.write(offset, view.offset)?;
    }
    k.write(size, view.length)?;
    Ok(NtStatus::SUCCESS)
}

#[derive(Clone, Copy, Debug)]
struct View {
    process: ProcessId,
    offset: u64,
    length: u64,
    writes: bool,
}

/// The frames that a view shows, and where it really begins and how long it is.
fn frames_of(k: &Kernel, source: &Source, view: View) -> Outcome<Result<(View, Vec<Pa>), NtStatus>> {
    match source {
        Source::Physical => {
            let offset = view.offset & !(PAGE_SIZE - 1);
            if view.length == 0 {
                return Ok(Err(NtStatus::INVALID_PARAMETER));
            }
            let end = AddressSpace::round_up(view.offset.saturating_add(view.length));
            let mut frames = Vec::new();
            let mut at = offset;
            while at < end {
                if !exists(k, Pa(at)) {
                    return Err(k.not_modelled(format!(
                        "ZwMapViewOfSection of the physical address {at:#x} is not modelled: neither RAM nor a device of this machine lies there"
                    )));
                }
                frames.push(Pa(at));
                at += PAGE_SIZE;
            }
            let length = end - offset;
            Ok(Ok((View { offset, length, ..view }, frames)))
        }
        Source::PagingFile { frames, writable } => {
            if view.writes && !writable {
                return Ok(Err(NtStatus::SECTION_PROTECTION));
            }
            let offset = view.offset & !(GRANULARITY - 1);
            let whole = frames.len() as u64 * PAGE_SIZE;
            let length = match view.length {
                0 => whole.saturating_sub(offset),
                length => AddressSpace::round_up(length.saturating_add(view.offset - offset)),
            };
            if length == 0 || offset.saturating_add(length) > whole {
                return Ok(Err(NtStatus::INVALID_VIEW_SIZE));
            }
            let first = usize::try_from(offset / PAGE_SIZE).expect("it is within the section");
            let count = usize::try_from(length / PAGE_SIZE).expect("it is within the section");
            let shown = frames[first..first + count].to_vec();
            Ok(Ok((View { offset, length, ..view }, shown)))
        }
    }
}

/// Whether there is something at a physical address.
fn exists(k: &Kernel, pa: Pa) -> bool {
    let in_window = pa.0.wrapping_sub(bus::WINDOW.start) < bus::WINDOW.length;
    if in_window {
        return !k.bus().borrow().functions().is_empty();
    }
    if pa.0 < super::io_space::FIRMWARE {
        super::io_space::show_firmware(k);
    }
    k.engine().borrow().try_read(pa, &mut [0])
}

#[cfg(test)]
mod tests;
