//! `MmAllocateContiguousMemory` and its forms, `MmFreeContiguousMemory`, `MmFreeContiguousMemorySpecifyCache`.

use super::{books, ram};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{AddressSpace, Protection, Va},
};

/// What memory allocated without a protection of its own allows.
const EXECUTABLE: Protection = Protection {
    write: true,
    execute: true,
};
/// `PAGE_READWRITE`.
const PAGE_READWRITE: u32 = 0x04;
/// `PAGE_EXECUTE_READWRITE`.
const PAGE_EXECUTE_READWRITE: u32 = 0x40;
/// `PAGE_NOCACHE` and `PAGE_WRITECOMBINE`, of which one may be added.
const PAGE_NOCACHE: u32 = 0x200;
const PAGE_WRITECOMBINE: u32 = 0x400;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("MmAllocateContiguousMemory", 2, contract, |k, a| {
        let reach = ram::Reach {
            highest: a.u64(1),
            ..ram::Reach::ANYWHERE
        };
        Ok(allocate(k, "MmAllocateContiguousMemory", a.u64(0), reach, EXECUTABLE))
    });
    let forms = [
        ("MmAllocateContiguousMemorySpecifyCache", 5),
        ("MmAllocateContiguousMemorySpecifyCacheNode", 6),
    ];
    for (name, arity) in forms {
        ddi.function(name, arity, contract, move |k, a| {
            Ok(allocate(k, name, a.u64(0), reach(a), EXECUTABLE))
        });
    }
    ddi.function("MmAllocateContiguousNodeMemory", 6, contract, |k, a| {
        let protection = match a.u32(4) & !(PAGE_NOCACHE | PAGE_WRITECOMBINE) {
            PAGE_READWRITE => Protection::READ_WRITE,
            PAGE_EXECUTE_READWRITE => EXECUTABLE,
            _ => return Ok(Va::NULL),
        };
        let name = "MmAllocateContiguousNodeMemory";
        Ok(allocate(k, name, a.u64(0), reach(a), protection))
    });
    let contract = contract.by_rule(VerifierRule::IRQL_MM_DISPATCH);
    ddi.function("MmFreeContiguousMemory", 1, contract, |k, a| free(k, a.va(0), None));
    ddi.function("MmFreeContiguousMemorySpecifyCache", 3, contract, |k, a| {
        free(k, a.va(0), Some(a.u64(1)))
    });
}

/// `LowestAcceptableAddress`, `HighestAcceptableAddress`, `BoundaryAddressMultiple`.
fn reach(a: &crate::ddi::Args) -> ram::Reach {
    ram::Reach {
        lowest: a.u64(1),
        highest: a.u64(2),
        boundary: a.u64(3),
    }
}

/// Memory that holds whatever was there; null when there is none within reach.
fn allocate(k: &Kernel, routine: &'static str, length: u64, reach: ram::Reach, protection: Protection) -> Va {
    // A boundary that is no power of two is none that an address could be compared with.
    if reach.boundary != 0 && !reach.boundary.is_power_of_two() {
        return Va::NULL;
    }
    let Some(piece) = ram::take(k, length, reach) else {
        return Va::NULL;
    };
    ram::fill(k, piece, k.config().stale_byte);
    super::map_block(k, routine, length, vec![piece], protection)
}

fn free(k: &Kernel, start: Va, length: Option<u64>) -> Outcome<()> {
    const INVALID_CONTIGUOUS_ADDRESS: u64 = 0x60;
    let allocated = {
        let books = books(k);
        let books = books.borrow();
        let block = books.blocks.get(&start);
        let contiguous = block.filter(|block| block.routine != super::noncached::ALLOCATE);
        contiguous.map(|block| block.length)
    };
    let Some(allocated) = allocated else {
        return Err(k.bugcheck(BugCheck::new(
            Code::BAD_POOL_CALLER,
            [INVALID_CONTIGUOUS_ADDRESS, start.get(), 0, 0],
            "contiguous-bad-free",
            format!("{start} was freed as contiguous memory, where none starts, or none any more"),
        )));
    };
    if let Some(length) = length.filter(|&length| AddressSpace::round_up(length) != AddressSpace::round_up(allocated)) {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [VerifierRule::PHYSICAL_MEMORY.subcode, start.get(), length, allocated],
            "contiguous-length",
            format!("the contiguous memory at {start} has {allocated:#x} bytes, but is freed as {length:#x}"),
        )));
    }
    super::free_block(k, start)
}
