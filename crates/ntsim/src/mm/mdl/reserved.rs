//! Ranges of the system's address space that a driver reserves, so that it can map MDLs there when memory is low:
//! `MmAllocateMappingAddress`, `MmMapLockedPagesWithReservedMapping`, `MmUnmapReservedMapping`, `MmFreeMappingAddress`.
//!
//! What goes wrong is `SYSTEM_PTE_MISUSE` (0xDA), with the bug check reference's parameters.

use std::collections::BTreeMap;

use ntlayout::mdl as layout;

use super::{
    Fields, MAPPED_TO_SYSTEM_VA, PAGES_LOCKED, PARTIAL, PARTIAL_HAS_BEEN_MAPPED, SOURCE_IS_NONPAGED_POOL, books,
    mapping::{self, Mapped},
    verifier,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::{self, AddressSpace, PAGE_SIZE, Protection, Va},
};

/// The largest range that there is room for.
const LARGEST: u64 = 1 << 36;

/// A reserved range.
#[derive(Debug)]
struct Reservation {
    tag: u32,
    pages: u64,
    /// The MDL that is mapped there, and its pages.
    mapped: MappedList,
}

/// All reserved ranges, by address.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    by_start: BTreeMap<Va, Reservation>,
    next: u64,
}

impl Reservations {
    /// What was not freed, in words.
    pub(super) fn leftovers(&self) -> impl Iterator<Item = Leftover> {
        let starts = self.by_start.keys();
        starts.map(|&start| Leftover::new(start, format!("the mapping addresses at {start} were never freed")))
    }
}

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC);
    ddi.function("MmAllocateMappingAddress", 2, contract, |k, a| {
        reserve(k, a.u64(0), a.u32(1))
    });
    ddi.function("MmFreeMappingAddress", 2, contract, |k, a| free(k, a.va(0), a.u32(1)));
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("MmMapLockedPagesWithReservedMapping", 4, contract, map);
    ddi.function("MmUnmapReservedMapping", 3, contract, unmap);
}

fn misuse(k: &Kernel, parameters: [u64; 4], rule: &'static str, message: String) -> Halted {
    k.bugcheck(BugCheck::new(Code::SYSTEM_PTE_MISUSE, parameters, rule, message))
}

fn reserve(k: &Kernel, length: u64, tag: u32) -> Outcome<Va> {
    const NOTHING: u64 = 0x100;
    if length == 0 {
        let message = "MmAllocateMappingAddress was asked for no bytes".to_owned();
        let parameters = [NOTHING, 0, tag.into(), k.caller().get()];
        return Err(misuse(k, parameters, "mapping-address-empty", message));
    }
    if length > LARGEST {
        return Ok(Va::NULL);
    }
    let books = books(k);
    let reserved = &mut books.borrow_mut().reserved;
    let length = AddressSpace::round_up(length);
    let start = mm::layout::RESERVED_MAPPINGS + reserved.next;
    reserved.next += length + PAGE_SIZE;
    let range = Reservation {
        tag,
        pages: length / PAGE_SIZE,
        mapped: None,
    };
    reserved.by_start.insert(start, range);
    k.note_made(start);
    Ok(start)
}

/// An MDL that is mapped in a range, and its pages.
type MappedList = Option<(Va, u64)>;

/// The reservation's tag, pages and MDL; none when there is none.
fn find(k: &Kernel, start: Va) -> Option<(u32, u64, MappedList)> {
    let books = books(k);
    let books = books.borrow();
    let range = books.reserved.by_start.get(&start)?;
    Some((range.tag, range.pages, range.mapped))
}

fn free(k: &Kernel, start: Va, tag: u32) -> Outcome<()> {
    const FOREIGN: u64 = 0x101;
    const EMPTY: u64 = 0x102;
    const MAPPED: u64 = 0x103;
    let routine = "MmFreeMappingAddress";
    let Some((owner, pages, mapped)) = find(k, start) else {
        let message = format!("{routine} was given {start}, where nothing is reserved, or nothing any more");
        return Err(misuse(
            k,
            [EMPTY, start.get(), tag.into(), 0],
            "mapping-address-bad-free",
            message,
        ));
    };
    if owner != tag {
        let message = format!("{routine} was given the tag {tag:#x} for {start}, which was reserved with {owner:#x}");
        let parameters = [FOREIGN, start.get(), tag.into(), owner.into()];
        return Err(misuse(k, parameters, "mapping-address-wrong-tag", message));
    }
    if let Some((list, _)) = mapped {
        let message =
            format!("{routine} was given {start}, where the MDL {list} is mapped: MmUnmapReservedMapping comes first");
        let parameters = [MAPPED, start.get(), tag.into(), pages];
        return Err(misuse(k, parameters, "mapping-address-still-mapped", message));
    }
    books(k).borrow_mut().reserved.by_start.remove(&start);
    k.note_freed(start);
    Ok(())
}

/// `MmMapLockedPagesWithReservedMapping(MappingAddress, PoolTag, MemoryDescriptorList, CacheType)`: null when the MDL does not fit.
fn map(k: &Kernel, a: &Args) -> Outcome<Va> {
    const FOREIGN: u64 = 0x104;
    const INVALID: u64 = 0x105;
    const NOT_EMPTY: u64 = 0x107;
    const INCORRECT_FLAGS: u64 = 0xB2;
    const MISSING_FLAGS: u64 = 0xB3;
    let (start, tag, list) = (a.va(0), a.u32(1), a.va(2));
    let routine = "MmMapLockedPagesWithReservedMapping";
    let Some((reserved_with, room, earlier)) = find(k, start) else {
        let message = format!("{routine} was given {start}, where nothing is reserved");
        let parameters = [INVALID, start.get(), tag.into(), 0];
        return Err(misuse(k, parameters, "mapping-address-invalid", message));
    };
    if reserved_with != tag {
        let message =
            format!("{routine} was given the tag {tag:#x} for {start}, which was reserved with {reserved_with:#x}");
        let parameters = [FOREIGN, start.get(), tag.into(), reserved_with.into()];
        return Err(misuse(k, parameters, "mapping-address-wrong-tag", message));
    }
    if let Some((there, _)) = earlier {
        let message = format!("{routine} was given {start}, where the MDL {there} is still mapped");
        let end = start + (room - 1) * PAGE_SIZE;
        let parameters = [NOT_EMPTY, start.get(), start.get(), end.get()];
        return Err(misuse(k, parameters, "mapping-address-still-mapped", message));
    }
    let mdl = Fields::read(k, list)?;
    let wrong = mdl.flags & (MAPPED_TO_SYSTEM_VA | SOURCE_IS_NONPAGED_POOL | PARTIAL_HAS_BEEN_MAPPED);
    if wrong != 0 {
        let message = format!("the MDL {list} is mapped into the system's address space twice");
        let parameters = [INCORRECT_FLAGS, list.get(), mdl.flags.into(), wrong.into()];
        return Err(verifier(k, parameters, "mdl-mapped-twice", message));
    }
    if !mdl.has(PAGES_LOCKED | PARTIAL) {
        let message = format!("the MDL {list} is mapped, but its pages are not locked");
        let expected = u64::from(PAGES_LOCKED | PARTIAL);
        let parameters = [MISSING_FLAGS, list.get(), mdl.flags.into(), expected];
        return Err(verifier(k, parameters, "mdl-mapped-unlocked", message));
    }
    let frames = super::existing_frames(k, list)?;
    let pages = frames.len() as u64;
    if pages > room {
        return Ok(Va::NULL);
    }
    for (index, &frame) in frames.iter().enumerate() {
        let va = start + index as u64 * PAGE_SIZE;
        k.map_physical(
            va,
            frame,
            PAGE_SIZE,
            Protection::READ_WRITE,
            "the reserved mapping of an MDL",
        );
    }
    {
        let books = books(k);
        let mut books = books.borrow_mut();
        if let Some(range) = books.reserved.by_start.get_mut(&start) {
            range.mapped = Some((list, pages));
        }
        let mapped = Mapped {
            start,
            pages,
            reserved: true,
        };
        books.mapped.insert(list, mapped);
    }
    let va = start + u64::from(mdl.start.offset_in_page());
    k.write(list + layout::MAPPED_SYSTEM_VA, va)?;
    let partial = if mdl.has(PARTIAL) { PARTIAL_HAS_BEEN_MAPPED } else { 0 };
    super::set_flags(k, list, MAPPED_TO_SYSTEM_VA | partial, 0)?;
    Ok(va)
}

/// `MmUnmapReservedMapping(BaseAddress, PoolTag, MemoryDescriptorList)`.
fn unmap(k: &Kernel, a: &Args) -> Outcome<()> {
    const FOREIGN: u64 = 0x108;
    const EMPTY: u64 = 0x109;
    const NOT_MAPPED: u64 = 0x10B;
    let (start, tag, list) = (a.va(0).page(), a.u32(1), a.va(2));
    let routine = "MmUnmapReservedMapping";
    let Some((owner, _, mapped)) = find(k, start) else {
        let message = format!("{routine} was given {start}, where nothing is reserved");
        let parameters = [EMPTY, start.get(), tag.into(), 0];
        return Err(misuse(k, parameters, "mapping-address-invalid", message));
    };
    if owner != tag {
        let message = format!("{routine} was given the tag {tag:#x} for {start}, which was reserved with {owner:#x}");
        let parameters = [FOREIGN, start.get(), tag.into(), owner.into()];
        return Err(misuse(k, parameters, "mapping-address-wrong-tag", message));
    }
    let pages = Fields::read(k, list)?.pages();
    if mapped.is_none_or(|(there, _)| there != list) {
        let message = format!("{routine} was given {start}, where the MDL {list} is not mapped");
        let parameters = [NOT_MAPPED, start.get(), tag.into(), pages];
        return Err(misuse(k, parameters, "mapping-address-not-mapped", message));
    }
    let mapped = {
        let books = books(k);
        let mut books = books.borrow_mut();
        if let Some(range) = books.reserved.by_start.get_mut(&start) {
            range.mapped = None;
        }
        books.mapped.remove(&list)
    };
    match mapped {
        Some(mapped) => mapping::take_away(k, list, mapped.start, mapped.pages),
        None => Ok(()),
    }
}

/// A mapping in a reserved range was to be unmapped as if it were another.
pub(super) fn not_released(k: &Kernel, list: Va, start: Va) -> Halted {
    const NOT_PERMITTED: u64 = 0x301;
    let message = format!(
        "the MDL {list} is mapped at {start} in a reserved range: MmUnmapReservedMapping unmaps it, nothing else does"
    );
    misuse(
        k,
        [NOT_PERMITTED, start.get(), 0, 0],
        "mapping-address-not-released",
        message,
    )
}
