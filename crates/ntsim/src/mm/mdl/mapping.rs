//! `MmMapLockedPagesSpecifyCache`, `MmUnmapLockedPages`, `MmProtectMdlSystemAddress`.

use ntlayout::mdl as layout;

use super::{
    Fields, MAPPED_TO_SYSTEM_VA, PAGES_LOCKED, PARTIAL, PARTIAL_HAS_BEEN_MAPPED, SOURCE_IS_NONPAGED_POOL,
    WRITE_OPERATION, books, verifier,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::{Kernel, stream},
    mm::{self, PAGE_SIZE, Protection, Va},
    sched::Random,
    status::NtStatus,
    trace::Counter,
};

/// `MdlMappingNoWrite`.
const NO_WRITE: u32 = 0x8000_0000;
/// `MdlMappingNoExecute`.
const NO_EXECUTE: u32 = 0x4000_0000;

/// Where the pages of an MDL are mapped.
#[derive(Debug)]
pub(super) struct Mapped {
    /// The page.
    pub(super) start: Va,
    pub(super) pages: u64,
    /// It lies in a range that the driver has reserved.
    pub(super) reserved: bool,
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MmMapLockedPagesSpecifyCache", 6, Contract::ANY, map_locked_pages);
    ddi.function("MmMapLockedPages", 2, Contract::ANY, |k, a| {
        map_locked_pages_or_stop(k, a.va(0), a.u8(1))
    });
    ddi.function("MmUnmapLockedPages", 2, Contract::ANY, |k, a| {
        const TOO_HIGH: u64 = 0x79;
        let (va, list) = (a.va(0), a.va(1));
        super::check_irql(
            k,
            TOO_HIGH,
            "MmUnmapLockedPages",
            Irql::DISPATCH,
            [va.get(), list.get()],
        )?;
        unmap(k, va, list)
    });
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("MmProtectMdlSystemAddress", 2, contract, |k, a| {
        Ok(protect(k, a.va(0), a.u32(1)))
    });
}

/// `MmMapLockedPages`: the old form, which says nothing of caching, priority or execution, and stops the system where it fails.
fn map_locked_pages_or_stop(k: &Kernel, list: Va, mode: u8) -> Outcome<Va> {
    const TOO_HIGH: u64 = 0x74;
    let routine = "MmMapLockedPages";
    super::check_irql(k, TOO_HIGH, routine, Irql::DISPATCH, [list.get(), mode.into()])?;
    if mode != 0 {
        let what = "with UserMode is not modelled: the MDL cannot be mapped into a program";
        return Err(k.not_modelled(format!("{routine} {what}")));
    }
    let va = map(k, list, NO_EXECUTE)?;
    if va.is_null() {
        let pages = Fields::read(k, list)?.pages();
        let message = format!("{routine} could not map the {pages} pages of the MDL {list}, and cannot say so");
        let code = Code::NO_MORE_SYSTEM_PTES;
        return Err(k.bugcheck(BugCheck::new(code, [0, pages, 0, 0], "no-system-ptes", message)));
    }
    Ok(va)
}

fn map_locked_pages(k: &Kernel, a: &Args) -> Outcome<Va> {
    const TOO_HIGH: u64 = 0x76;
    const BUG_CHECK_ON_FAILURE: u64 = 0x82;
    let (list, mode, bug_check_on_failure, priority) = (a.va(0), a.u8(1), a.u32(4), a.u32(5));
    let routine = "MmMapLockedPagesSpecifyCache";
    super::check_irql(k, TOO_HIGH, routine, Irql::DISPATCH, [list.get(), mode.into()])?;
    let flags: u16 = k.read(list + layout::MDL_FLAGS)?;
    if mode != 0 {
        return Err(k.bugcheck(BugCheck::new(
            Code::MANUALLY_INITIATED_CRASH,
            [list.get(), 0, 0, 0],
            "not-modelled",
            format!("{routine} with UserMode is not modelled: the MDL {list} cannot be mapped into a program"),
        )));
    }
    if bug_check_on_failure != 0 {
        let message = format!("{routine} was called with BugCheckOnFailure: it is to be FALSE");
        let parameters = [BUG_CHECK_ON_FAILURE, list.get(), flags.into(), 0];
        k.verify(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            parameters,
            "mdl-bugcheck-on-failure",
            message,
        ))?;
    }
    map(k, list, priority)
}

/// Maps the pages of `list` into the system's address space; null when it fails for lack of resources.
///
/// # Errors
/// When they are not locked, or mapped already, or would be executable.
fn map(k: &Kernel, list: Va, priority: u32) -> Outcome<Va> {
    const INCORRECT_FLAGS: u64 = 0xB2;
    const MISSING_FLAGS: u64 = 0xB3;
    const EXECUTABLE_MAPPING: u64 = 0x2002;
    let mdl = Fields::read(k, list)?;
    let flags = mdl.flags.into();
    let wrong = mdl.flags & (MAPPED_TO_SYSTEM_VA | SOURCE_IS_NONPAGED_POOL | PARTIAL_HAS_BEEN_MAPPED);
    if wrong != 0 || books(k).borrow().mapped.contains_key(&list) {
        let message = format!("the MDL {list} is mapped into the system's address space twice");
        let parameters = [INCORRECT_FLAGS, list.get(), flags, wrong.into()];
        return Err(verifier(k, parameters, "mdl-mapped-twice", message));
    }
    let expected = PAGES_LOCKED | PARTIAL;
    if !mdl.has(expected) {
        let message = format!("the MDL {list} is mapped, but its pages are not locked");
        let parameters = [MISSING_FLAGS, list.get(), flags, expected.into()];
        return Err(verifier(k, parameters, "mdl-mapped-unlocked", message));
    }
    if priority & NO_EXECUTE == 0 {
        let message = format!("the MDL {list} is mapped executable: MdlMappingNoExecute is missing");
        let parameters = [EXECUTABLE_MAPPING, k.caller().get(), priority.into(), 0];
        k.verify(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            parameters,
            "executable-mapping",
            message,
        ))?;
    }
    if fails(k) {
        k.trace(crate::trace::Event::Note(format!(
            "the MDL {list} is not mapped: a fault that was asked for"
        )));
        return Ok(Va::NULL);
    }
    let frames = super::existing_frames(k, list)?;
    let start = {
        let books = books(k);
        let mut books = books.borrow_mut();
        let start = mm::layout::MDL_MAPPINGS + books.next_mapping;
        // The page between two mappings belongs to nobody.
        books.next_mapping += (frames.len() as u64 + 1) * PAGE_SIZE;
        let pages = frames.len() as u64;
        let mapped = Mapped {
            start,
            pages,
            reserved: false,
        };
        books.mapped.insert(list, mapped);
        start
    };
    // Pages locked for reading memory are for the driver to read only; nothing but convention keeps it from writing them on
    // Windows, here the protection does.
    let protection = Protection {
        write: mdl.has(WRITE_OPERATION) && priority & NO_WRITE == 0,
        execute: priority & NO_EXECUTE == 0,
    };
    for (index, &frame) in frames.iter().enumerate() {
        let va = start + index as u64 * PAGE_SIZE;
        k.map_physical(va, frame, PAGE_SIZE, protection, "the mapping of an MDL");
        k.count(Counter::MdlPagesMapped);
    }
    let va = start + u64::from(mdl.start.offset_in_page());
    k.write(list + layout::MAPPED_SYSTEM_VA, va)?;
    let partial = if mdl.has(PARTIAL) { PARTIAL_HAS_BEEN_MAPPED } else { 0 };
    super::set_flags(k, list, MAPPED_TO_SYSTEM_VA | partial, 0)?;
    Ok(va)
}

/// Whether this mapping is to fail, going by [`Config`](crate::Config)'s odds.
fn fails(k: &Kernel) -> bool {
    let percent = k.config().failing_mappings;
    let books = books(k);
    let mut books = books.borrow_mut();
    let luck = books
        .luck
        .get_or_insert_with(|| Random::new(k.config().seed, stream::MAPPINGS));
    percent != 0 && luck.chance(percent.into())
}

/// `MmUnmapLockedPages`.
///
/// # Errors
/// When the MDL is not mapped there.
fn unmap(k: &Kernel, va: Va, list: Va) -> Outcome<()> {
    const NOT_MAPPED: u64 = 0x4E54_0009;
    let mdl = Fields::read(k, list)?;
    let mapped = books(k).borrow().mapped.contains_key(&list);
    if !mapped || va != mdl.system {
        let message =
            format!("MmUnmapLockedPages was given the MDL {list} and {va}, but its pages are not mapped there");
        let parameters = [NOT_MAPPED, va.get(), list.get(), mdl.flags.into()];
        return Err(verifier(k, parameters, "mdl-not-mapped", message));
    }
    unmap_all(k, list)
}

/// Takes the mapping of an MDL away, if it has one.
///
/// # Errors
/// When the MDL is not there any more.
pub(crate) fn unmap_all(k: &Kernel, list: Va) -> Outcome<()> {
    let mapped = books(k).borrow_mut().mapped.remove(&list);
    let Some(Mapped { start, pages, reserved }) = mapped else {
        return Ok(());
    };
    if reserved {
        return Err(super::reserved::not_released(k, list, start));
    }
    take_away(k, list, start, pages)
}

/// Unmaps the pages from `start` on, where an MDL was mapped.
pub(super) fn take_away(k: &Kernel, list: Va, start: Va, pages: u64) -> Outcome<()> {
    for index in 0..pages {
        k.watch().space.borrow_mut().unmap(start + index * PAGE_SIZE);
    }
    k.engine().borrow_mut().flush_translations();
    super::set_flags(k, list, 0, MAPPED_TO_SYSTEM_VA | PARTIAL_HAS_BEEN_MAPPED)
}

/// Whether pages of an MDL were mapped at `va`, now or before.
pub(crate) fn was_mapped(k: &Kernel, va: Va) -> bool {
    va - mm::layout::MDL_MAPPINGS < books(k).borrow().next_mapping
}

/// `MmProtectMdlSystemAddress`.
fn protect(k: &Kernel, list: Va, protection: u32) -> NtStatus {
    let protection = match protection {
        0x02 => Protection::READ,
        0x04 => Protection::READ_WRITE,
        0x20 => Protection::READ_EXECUTE,
        0x40 => Protection {
            write: true,
            execute: true,
        },
        _ => return NtStatus::INVALID_PAGE_PROTECTION,
    };
    let books = books(k);
    let books = books.borrow();
    let Some(mapped) = books.mapped.get(&list) else {
        return NtStatus::NOT_MAPPED_VIEW;
    };
    let mut space = k.watch().space.borrow_mut();
    for index in 0..mapped.pages {
        space.protect(mapped.start + index * PAGE_SIZE, protection);
    }
    drop(space);
    k.engine().borrow_mut().flush_translations();
    NtStatus::SUCCESS
}
