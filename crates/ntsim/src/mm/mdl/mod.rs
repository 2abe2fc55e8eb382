//! Memory descriptor lists: the pages of a buffer, locked, and mapped where the system can reach them from any context.
//!
//! An MDL lies in guest memory, laid out as the WDK has it, since drivers read its fields by macros; its page frame numbers follow
//! it. What its flags say is what was done to it; drivers could get that wrong, so the books of `Mdls` are what counts.
//!
//! "Using MDLs" and the pages of the routines say what is allowed. Driver Verifier's bug checks are those of the bug check
//! reference for 0xC4.

mod advance;
mod lock;
mod mapping;
mod partial;
mod reserved;
#[cfg(test)]
mod tests;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use ntlayout::mdl as layout;

use super::{PAGE_SIZE, Pa, Va};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
};

pub(crate) use lock::{Locker, Operation, check_process_end, lock, unlock};
pub(crate) use mapping::{unmap_all, was_mapped};

/// `MDL_MAPPED_TO_SYSTEM_VA`.
pub(crate) const MAPPED_TO_SYSTEM_VA: u16 = 0x0001;
/// `MDL_PAGES_LOCKED`.
pub(crate) const PAGES_LOCKED: u16 = 0x0002;
/// `MDL_SOURCE_IS_NONPAGED_POOL`.
pub(crate) const SOURCE_IS_NONPAGED_POOL: u16 = 0x0004;
/// `MDL_ALLOCATED_FIXED_SIZE`.
const ALLOCATED_FIXED_SIZE: u16 = 0x0008;
/// `MDL_PARTIAL`.
pub(crate) const PARTIAL: u16 = 0x0010;
/// `MDL_PARTIAL_HAS_BEEN_MAPPED`.
const PARTIAL_HAS_BEEN_MAPPED: u16 = 0x0020;
/// `MDL_WRITE_OPERATION`: the pages were locked for writing to memory.
pub(in crate::mm) const WRITE_OPERATION: u16 = 0x0080;
/// `MDL_IO_SPACE`.
const IO_SPACE: u16 = 0x0800;

/// Bytes of a page frame number.
const PFN_SIZE: usize = 8;

/// What the memory manager knows of MDLs beside what lies in guest memory.
#[derive(Debug, Default)]
pub(crate) struct Mdls {
    locked: BTreeMap<Va, lock::Locked>,
    mapped: BTreeMap<Va, mapping::Mapped>,
    reserved: reserved::Reservations,
    /// Where the next mapping goes, as an offset.
    next_mapping: u64,
    /// Decides which mappings fail.
    luck: Option<crate::sched::Random>,
}

fn books(k: &Kernel) -> Rc<RefCell<Mdls>> {
    k.state::<Mdls>()
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MmSizeOfMdl", 2, Contract::ANY, |_, a| Ok(size(a.va(0), a.u64(1))));
    ddi.function(
        "MmBuildMdlForNonPagedPool",
        1,
        Contract::at_most(Irql::DISPATCH),
        |k, a| build_for_nonpaged_pool(k, a.va(0)),
    );
    advance::register(ddi);
    lock::register(ddi);
    mapping::register(ddi);
    partial::register(ddi);
    reserved::register(ddi);
}

/// `ADDRESS_AND_SIZE_TO_SPAN_PAGES`.
pub(crate) fn pages_of(va: Va, length: u64) -> u64 {
    u64::from(va.offset_in_page())
        .saturating_add(length)
        .div_ceil(PAGE_SIZE)
}

/// `MmSizeOfMdl`: the bytes of an MDL for `length` bytes at `va`.
pub(crate) fn size(va: Va, length: u64) -> u64 {
    (layout::SIZE + PFN_SIZE * usize::try_from(pages_of(va, length)).unwrap_or(usize::MAX / PFN_SIZE / 2)) as u64
}

/// What the header's inline `MmInitializeMdl` does. The page frame numbers stay what they are.
pub(crate) fn initialize(k: &Kernel, list: Va, va: Va, length: u32) -> Outcome<()> {
    k.write(list + layout::NEXT, Va::NULL)?;
    // `Size` is 16 bits wide, and Windows lets it wrap: it is of use for small MDLs only.
    k.write(list + layout::SIZE_FIELD, (size(va, length.into()) & 0xFFFF) as u16)?;
    k.write(list + layout::MDL_FLAGS, 0_u16)?;
    k.write(list + layout::START_VA, va.page())?;
    k.write(list + layout::BYTE_OFFSET, va.offset_in_page())?;
    k.write(list + layout::BYTE_COUNT, length)
}

/// What an MDL's fields say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub flags: u16,
    pub start: Va,
    pub length: u32,
    pub system: Va,
}

impl Fields {
    pub(crate) fn read(k: &Kernel, list: Va) -> Outcome<Self> {
        let offset: u32 = k.read(list + layout::BYTE_OFFSET)?;
        Ok(Self {
            flags: k.read(list + layout::MDL_FLAGS)?,
            start: k.read::<Va>(list + layout::START_VA)? + u64::from(offset),
            length: k.read(list + layout::BYTE_COUNT)?,
            system: k.read(list + layout::MAPPED_SYSTEM_VA)?,
        })
    }

    /// How many pages it describes.
    pub(crate) fn pages(&self) -> u64 {
        pages_of(self.start, self.length.into())
    }

    pub(crate) const fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }
}

/// The pages that an MDL describes, by its page frame numbers, when there is such memory.
///
/// # Errors
/// When the MDL cannot be read; when a page frame number in it is none of the machine's.
pub(in crate::mm) fn existing_frames(k: &Kernel, list: Va) -> Outcome<Vec<Pa>> {
    const NO_SUCH_PAGE: u64 = 0x02;
    let frames = frames(k, list)?;
    if let Some(frame) = frames.iter().find(|&&frame| !exists(k, frame)) {
        let number = frame.0 / PAGE_SIZE;
        let message = format!("the MDL {list} has the page frame number {number:#x}, and the machine has no such page");
        let highest = (crate::mm::layout::POOL_PHYSICAL.0 + crate::mm::layout::POOL_LENGTH) / PAGE_SIZE - 1;
        return Err(k.bugcheck(BugCheck::new(
            Code::PFN_LIST_CORRUPT,
            [NO_SUCH_PAGE, number, highest, 0],
            "mdl-page-does-not-exist",
            message,
        )));
    }
    Ok(frames)
}

/// Whether the machine has a page: of RAM, or of its devices' registers.
fn exists(k: &Kernel, frame: Pa) -> bool {
    if crate::mm::is_device(frame) {
        return true;
    }
    k.engine().borrow().try_read(frame, &mut [0])
}

/// The pages that an MDL describes, by its page frame numbers.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn frames(k: &Kernel, list: Va) -> Outcome<Vec<Pa>> {
    let count = Fields::read(k, list)?.pages();
    let numbers = list + layout::SIZE;
    // A page frame number that a driver has made up may be any.
    let frame = |index| {
        let number: u64 = k.read(numbers + index * PFN_SIZE as u64)?;
        Ok(Pa(number.saturating_mul(PAGE_SIZE) & !(PAGE_SIZE - 1)))
    };
    (0..count).map(frame).collect()
}

pub(in crate::mm) fn write_frames(k: &Kernel, list: Va, frames: &[Pa]) -> Outcome<()> {
    let numbers: Vec<u8> = frames
        .iter()
        .flat_map(|frame| (frame.0 / PAGE_SIZE).to_le_bytes())
        .collect();
    k.write_bytes(list + layout::SIZE, &numbers)
}

pub(in crate::mm) fn set_flags(k: &Kernel, list: Va, set: u16, clear: u16) -> Outcome<()> {
    let flags: u16 = k.read(list + layout::MDL_FLAGS)?;
    k.write(list + layout::MDL_FLAGS, flags & !clear | set)
}

/// What Driver Verifier stops with when an MDL is misused.
fn verifier(k: &Kernel, parameters: [u64; 4], rule: &'static str, message: impl Into<String>) -> Halted {
    let code = Code::DRIVER_VERIFIER_DETECTED_VIOLATION;
    k.bugcheck(BugCheck::new(code, parameters, rule, message))
}

/// Driver Verifier has a code of its own for each of these routines that is called at too high an IRQL.
fn check_irql(k: &Kernel, subcode: u64, routine: &str, highest: Irql, parameters: [u64; 2]) -> Outcome<()> {
    let irql = k.irql();
    if irql <= highest {
        return Ok(());
    }
    let [p3, p4] = parameters;
    let message = format!("{routine} was called at {irql}, but may be called at {highest} or below");
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, irql.0.into(), p3, p4],
        "irql-contract",
        message,
    ))
}

/// `MmBuildMdlForNonPagedPool`: an MDL for memory that is resident, and mapped, anyway.
fn build_for_nonpaged_pool(k: &Kernel, list: Va) -> Outcome<()> {
    const PAGED: u64 = 0x7F;
    let mdl = Fields::read(k, list)?;
    let frames = lock::resident_frames(k, &mdl)?;
    let Some(frames) = frames else {
        let message = format!(
            "MmBuildMdlForNonPagedPool was given an MDL of the {:#x} bytes at {}, which are not nonpaged memory",
            mdl.length, mdl.start
        );
        let parameters = [PAGED, k.irql().0.into(), list.get(), mdl.flags.into()];
        return Err(verifier(k, parameters, "mdl-of-pageable-memory", message));
    };
    write_frames(k, list, &frames)?;
    k.write(list + layout::PROCESS, Va::NULL)?;
    k.write(list + layout::MAPPED_SYSTEM_VA, mdl.start)?;
    set_flags(k, list, SOURCE_IS_NONPAGED_POOL, 0)
}

/// Whether the pages of an MDL are mapped into the system's address space.
pub(in crate::mm) fn is_mapped(k: &Kernel, list: Va) -> bool {
    books(k).borrow().mapped.contains_key(&list)
}

/// What is not as it was before the driver came: MDLs that are locked or mapped.
pub(crate) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let books = books(k);
    let books = books.borrow();
    let locked = books
        .locked
        .keys()
        .map(|&list| Leftover::new(list, format!("the pages of the MDL {list} are still locked")));
    let mapped = books
        .mapped
        .keys()
        .map(|&list| Leftover::new(list, format!("the pages of the MDL {list} are still mapped")));
    locked.chain(mapped).chain(books.reserved.leftovers()).collect()
}

/// An MDL is about to be freed: nothing may be left of what was done to it.
///
/// # Errors
/// When its pages are locked or mapped.
pub(crate) fn check_idle(k: &Kernel, list: Va) -> Outcome<()> {
    const STILL_MAPPED: u64 = 0xB8;
    let flags: u16 = k.read(list + layout::MDL_FLAGS)?;
    let books = books(k);
    let (locked, mapped) = {
        let books = books.borrow();
        (books.locked.contains_key(&list), books.mapped.contains_key(&list))
    };
    if mapped {
        let message = format!("the MDL {list} is freed while its pages are mapped");
        return Err(verifier(
            k,
            [STILL_MAPPED, list.get(), flags.into(), 0],
            "mdl-freed-mapped",
            message,
        ));
    }
    if locked {
        return Err(lock::left_locked(k, list));
    }
    Ok(())
}
