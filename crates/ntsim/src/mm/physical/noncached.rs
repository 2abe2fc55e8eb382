//! `MmAllocateNonCachedMemory`, `MmFreeNonCachedMemory`.

use super::{books, ram};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{AddressSpace, Protection, Va},
};

/// The routine that allocates it.
pub(super) const ALLOCATE: &str = "MmAllocateNonCachedMemory";

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_MM_APC_LTE);
    ddi.function(ALLOCATE, 1, contract, |k, a| Ok(allocate(k, a.u64(0))));
    ddi.function("MmFreeNonCachedMemory", 2, contract, |k, a| free(k, a.va(0), a.u64(1)));
}

/// Whole pages, which lie anywhere; null when there are not enough.
fn allocate(k: &Kernel, length: u64) -> Va {
    let pieces = ram::take_frames(k, length, ram::Reach::ANYWHERE);
    let taken: u64 = pieces.iter().map(|piece| piece.length).sum();
    if length == 0 || taken < length {
        let books = books(k);
        for piece in pieces {
            books.borrow_mut().ram.free(piece);
        }
        return Va::NULL;
    }
    for &piece in &pieces {
        ram::fill(k, piece, k.config().stale_byte);
    }
    super::map_block(k, ALLOCATE, length, pieces, Protection::READ_WRITE)
}

fn free(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    let allocated = {
        let books = books(k);
        let books = books.borrow();
        let block = books.blocks.get(&start);
        block
            .filter(|block| block.routine == ALLOCATE)
            .map(|block| block.length)
    };
    let message = match allocated {
        Some(allocated) if AddressSpace::round_up(allocated) == AddressSpace::round_up(length) => {
            return super::free_block(k, start);
        }
        Some(allocated) => {
            format!("the noncached memory at {start} has {allocated:#x} bytes, but is freed as {length:#x}")
        }
        None => format!("{start} was freed as noncached memory, where none starts, or none any more"),
    };
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [
            VerifierRule::PHYSICAL_MEMORY.subcode,
            start.get(),
            length,
            allocated.unwrap_or(0),
        ],
        "noncached-bad-free",
        message,
    )))
}
