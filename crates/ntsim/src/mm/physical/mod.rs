//! Physical memory that drivers allocate as such: contiguous, noncached, or as the pages of an MDL.
//!
//! - `ram`: where it comes from, within the addresses that the caller can use.
//! - `contiguous`: `MmAllocateContiguousMemory` and its forms.
//! - `noncached`: `MmAllocateNonCachedMemory`.
//! - `pages_for_mdl`: `MmAllocatePagesForMdl` and `MmAllocatePagesForMdlEx`.
//!
//! Every allocation has virtual addresses of its own, which are never given out again: what is touched after it was freed is not
//! mapped. [`check_device`] finds a device that reaches memory after it was freed.

mod contiguous;
mod noncached;
mod pages_for_mdl;
mod ram;
#[cfg(test)]
mod tests;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{AddressSpace, PAGE_SIZE, Pa, Protection, Va, layout};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::Registry,
    ex,
    io::driver::LoadedImage,
    kernel::Kernel,
};

pub(crate) use ram::ranges;

/// The most that drivers can have of physical memory at a time. A driver has to cope with less than it asks for.
const LIMIT: u64 = 512 << 20;

/// Mapped memory: contiguous or noncached.
#[derive(Debug)]
struct Block {
    /// The routine that allocated it.
    routine: &'static str,
    /// Bytes, as asked for.
    length: u64,
    pieces: Vec<ram::Piece>,
}

/// What is kept of physical memory beside the memory itself.
#[derive(Debug, Default)]
pub(crate) struct PhysicalMemory {
    ram: ram::Ram,
    /// By virtual address.
    blocks: BTreeMap<Va, Block>,
    /// By MDL.
    lists: BTreeMap<Va, Block>,
    /// Where the next block is mapped, as an offset.
    next: u64,
}

fn books(k: &Kernel) -> Rc<RefCell<PhysicalMemory>> {
    k.state::<PhysicalMemory>()
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    contiguous::register(ddi);
    noncached::register(ddi);
    pages_for_mdl::register(ddi);
}

/// Maps `pieces` side by side, and keeps books of them.
fn map_block(k: &Kernel, routine: &'static str, length: u64, pieces: Vec<ram::Piece>, protection: Protection) -> Va {
    let books = books(k);
    let start = {
        let mut books = books.borrow_mut();
        let start = layout::PHYSICAL_MEMORY + books.next;
        // The page between two blocks belongs to nobody.
        books.next += AddressSpace::round_up(length) + PAGE_SIZE;
        start
    };
    let mut va = start;
    for piece in &pieces {
        k.map_physical(va, piece.start, piece.length, protection, routine);
        va = va + piece.length;
    }
    let block = Block {
        routine,
        length,
        pieces,
    };
    books.borrow_mut().blocks.insert(start, block);
    k.note_made(start);
    start
}

/// Unmaps and frees the block at `start`, after nothing in it is in use any more.
///
/// # Errors
/// When something is.
fn free_block(k: &Kernel, start: Va) -> Outcome<()> {
    let length = books(k).borrow().blocks[&start].length;
    ex::pool::check_idle(k, start, length)?;
    k.note_freed(start);
    let block = books(k).borrow_mut().blocks.remove(&start).expect("it was found");
    let mut va = start;
    for piece in block.pieces {
        k.unmap(va);
        va = va + piece.length;
        books(k).borrow_mut().ram.free(piece);
    }
    Ok(())
}

/// Whether somebody has the RAM from `physical` on: a driver, or the system.
pub(crate) fn is_in_use(k: &Kernel, physical: Pa, length: u64) -> bool {
    let books = books(k);
    let books = books.borrow();
    if books.ram.is_freed(physical, length) {
        return false;
    }
    if physical < super::DEVICE_HOLE {
        return books.ram.is_taken(physical, length);
    }
    let end = physical + length;
    if end > layout::POOL_PHYSICAL {
        let pool_end = layout::POOL_PHYSICAL + (k.watch().pool.borrow().end() - super::pool::POOL_BASE);
        return physical >= layout::POOL_PHYSICAL && end <= pool_end;
    }
    // What was handed out was given to the emulator, and nothing else was.
    let engine = k.engine().borrow();
    let mut pages = (physical.0 / PAGE_SIZE..end.0.div_ceil(PAGE_SIZE)).map(|page| Pa(page * PAGE_SIZE));
    pages.all(|page| engine.try_read(page, &mut [0]))
}

/// Whether a device may access the RAM from `physical` on: an error, in words, when it was freed.
pub(crate) fn check_device(k: &Kernel, physical: Pa, length: u64) -> Result<(), String> {
    let books = books(k);
    let books = books.borrow();
    if books.ram.is_freed(physical, length) {
        return Err("the physical memory there was freed while it was mapped".to_owned());
    }
    Ok(())
}

/// The driver in `image` unloads: it must have freed its physical memory.
///
/// # Errors
/// When it has not.
pub(in crate::mm) fn check_leaks(k: &Kernel, image: LoadedImage, name: &str) -> Outcome<()> {
    let left: Vec<(Va, u64, &str)> = {
        let books = books(k);
        let books = books.borrow();
        let all = books.blocks.iter().chain(&books.lists);
        all.map(|(&va, block)| (va, block.length, block.routine))
            .filter(|&(va, ..)| k.is_made_by(va, image))
            .collect()
    };
    let Some(&(va, length, routine)) = left.first() else {
        return Ok(());
    };
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::PHYSICAL_MEMORY_LEFT.subcode, va.get(), length, left.len() as u64],
        "physical-memory-leak",
        format!(
            "{name} unloads, but has not freed {} allocations of physical memory; the first is the {length:#x} bytes of {va}, allocated by \
             {routine}",
            left.len()
        ),
    ))
}
