//! `MmAllocatePagesForMdl`, `MmAllocatePagesForMdlEx`, `MmFreePagesFromMdl`: pages that an MDL describes and nothing maps.

use ntlayout::mdl as layout;

use super::{
    Block, books,
    ram::{self, Piece, Reach},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PAGE_SIZE, PoolKind, PoolOwner, Va, mdl},
};

/// `MM_DONT_ZERO_ALLOCATION`.
const DONT_ZERO: u32 = 0x01;
/// `MM_ALLOCATE_FULLY_REQUIRED`.
const FULLY_REQUIRED: u32 = 0x04;
/// `MM_ALLOCATE_REQUIRE_CONTIGUOUS_CHUNKS`.
const CONTIGUOUS_CHUNKS: u32 = 0x20;
/// `MM_ALLOCATE_FROM_LOCAL_NODE_ONLY`, `MM_ALLOCATE_NO_WAIT`, `MM_ALLOCATE_PREFER_CONTIGUOUS`: nothing that could be told here.
const OF_NO_CONSEQUENCE: u32 = 0x02 | 0x08 | 0x10;
/// The most that one MDL can describe.
const MOST: u64 = (1 << 32) - PAGE_SIZE;
/// The tag of these MDLs.
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");
/// The most chunks that one MDL is made of: each is memory of its own for the host.
const MOST_CHUNKS: u64 = 0x400;
/// How often the next range is tried.
const MOST_RANGES: u32 = 0x1000;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MmAllocatePagesForMdl", 4, Contract::ANY, |k, a| {
        allocate(k, "MmAllocatePagesForMdl", a, 0)
    });
    ddi.function("MmAllocatePagesForMdlEx", 6, Contract::ANY, |k, a| {
        allocate(k, "MmAllocatePagesForMdlEx", a, a.u32(5))
    });
    ddi.function("MmFreePagesFromMdl", 1, Contract::ANY, |k, a| {
        check_irql(k, "MmFreePagesFromMdl")?;
        free(k, a.va(0))
    });
}

fn check_irql(k: &Kernel, routine: &str) -> Outcome<()> {
    const TOO_HIGH: u64 = 0x7E;
    let irql = k.irql();
    if irql <= Irql::DISPATCH {
        return Ok(());
    }
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [TOO_HIGH, irql.0.into(), Irql::DISPATCH.0.into(), 0],
        "irql-contract",
        format!("{routine} was called at {irql}, but may be called at DISPATCH_LEVEL or below"),
    ))
}

/// `(LowAddress, HighAddress, SkipBytes, TotalBytes, …)`: an MDL; null when there is no memory.
fn allocate(k: &Kernel, routine: &'static str, a: &Args, flags: u32) -> Outcome<Va> {
    check_irql(k, routine)?;
    let (low, high, skip, total) = (a.u64(0), a.u64(1), a.u64(2), a.u64(3));
    let unknown = flags & !(DONT_ZERO | FULLY_REQUIRED | CONTIGUOUS_CHUNKS | OF_NO_CONSEQUENCE);
    if unknown != 0 {
        return Err(k.not_modelled(format!("{routine} with the flags {unknown:#x} is not modelled")));
    }
    if total == 0 || total > MOST || !skip.is_multiple_of(PAGE_SIZE) || low > high {
        return Ok(Va::NULL);
    }
    let contiguous = flags & CONTIGUOUS_CHUNKS != 0;
    let pieces = if contiguous {
        chunks(k, low, high, skip, total)
    } else {
        frames(k, low, high, skip, total)
    };
    let taken: u64 = pieces.iter().map(|piece| piece.length).sum();
    let whole = taken >= total;
    if taken == 0 || (!whole && (contiguous || flags & FULLY_REQUIRED != 0)) {
        give_back(k, pieces);
        return Ok(Va::NULL);
    }
    let byte = if flags & DONT_ZERO == 0 {
        0
    } else {
        k.config().stale_byte
    };
    for &piece in &pieces {
        ram::fill(k, piece, byte);
    }
    describe(k, routine, total.min(taken), pieces)
}

/// Single pages from the first range, and from the next ones as long as they do not suffice.
fn frames(k: &Kernel, low: u64, high: u64, skip: u64, total: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let end = ram::ranges()[1].end;
    let (mut lowest, mut highest) = (low, high);
    for _ in 0..MOST_RANGES {
        let missing = total.saturating_sub(pieces.len() as u64 * PAGE_SIZE);
        let reach = Reach {
            lowest,
            highest,
            boundary: 0,
        };
        pieces.extend(ram::take_frames(k, missing, reach));
        let next = lowest.checked_add(skip).zip(highest.checked_add(skip));
        match next {
            Some((next_lowest, next_highest))
                if skip != 0 && (pieces.len() as u64 * PAGE_SIZE) < total && next_lowest < end =>
            {
                (lowest, highest) = (next_lowest, next_highest);
            }
            _ => break,
        }
    }
    pieces
}

/// One contiguous block, or aligned blocks of `skip` bytes each.
fn chunks(k: &Kernel, low: u64, high: u64, skip: u64, total: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if skip != 0 && (!skip.is_power_of_two() || !total.is_multiple_of(skip)) {
        return pieces;
    }
    let (length, count) = match skip {
        0 => (total, 1),
        skip => (skip, total / skip),
    };
    let reach = Reach {
        lowest: low,
        highest: high,
        boundary: skip,
    };
    // A driver copes with less than it asks for.
    for _ in 0..count.min(MOST_CHUNKS) {
        match ram::take(k, length, reach) {
            Some(piece) => pieces.push(piece),
            None => break,
        }
    }
    pieces
}

fn give_back(k: &Kernel, pieces: Vec<Piece>) {
    let books = books(k);
    for piece in pieces {
        books.borrow_mut().ram.free(piece);
    }
}

/// The MDL of `length` bytes: locked pages without a virtual address.
fn describe(k: &Kernel, routine: &'static str, length: u64, pieces: Vec<Piece>) -> Outcome<Va> {
    let size = mdl::size(Va::NULL, length);
    let list = k.allocate_pool(PoolKind::NonPagedNx, size, TAG, PoolOwner::Driver, "MDL");
    let bytes = u32::try_from(length).expect("it was checked");
    mdl::initialize(k, list, Va::NULL, bytes)?;
    let pages = pieces.iter().flat_map(|piece| {
        let start = piece.start;
        (0..piece.length / PAGE_SIZE).map(move |page| start + page * PAGE_SIZE)
    });
    let count = usize::try_from(length.div_ceil(PAGE_SIZE)).expect("it fits the host");
    let frames: Vec<_> = pages.take(count).collect();
    mdl::write_frames(k, list, &frames)?;
    k.write(list + layout::PROCESS, Va::NULL)?;
    mdl::set_flags(k, list, mdl::PAGES_LOCKED | mdl::WRITE_OPERATION, 0)?;
    books(k).borrow_mut().lists.insert(
        list,
        Block {
            routine,
            length,
            pieces,
        },
    );
    Ok(list)
}

/// `MmFreePagesFromMdl`. The MDL itself stays.
fn free(k: &Kernel, list: Va) -> Outcome<()> {
    const STILL_MAPPED: u64 = 0xB8;
    let flags: u16 = k.read(list + layout::MDL_FLAGS)?;
    if !books(k).borrow().lists.contains_key(&list) {
        return Err(not_allocated(k, list));
    }
    if mdl::is_mapped(k, list) {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [STILL_MAPPED, list.get(), flags.into(), 0],
            "mdl-freed-mapped",
            format!("the pages of the MDL {list} are freed while they are mapped: MmUnmapLockedPages comes first"),
        )));
    }
    k.note_freed(list);
    let block = books(k).borrow_mut().lists.remove(&list).expect("it was found");
    for piece in &block.pieces {
        let bytes = piece.start.0..piece.start.0 + piece.length;
        k.watch().sharing.borrow_mut().free(bytes);
    }
    give_back(k, block.pieces);
    mdl::set_flags(k, list, 0, mdl::PAGES_LOCKED)
}

fn not_allocated(k: &Kernel, list: Va) -> Halted {
    const UNLOCKED_TOO_OFTEN: u64 = 0x07;
    let first = k.peek(list + layout::SIZE).unwrap_or(0);
    k.bugcheck(BugCheck::new(
        Code::PFN_LIST_CORRUPT,
        [UNLOCKED_TOO_OFTEN, first, 0, 0],
        "pages-freed-twice",
        format!("MmFreePagesFromMdl was given the MDL {list}, whose pages MmAllocatePagesForMdl did not allocate, or that were freed before"),
    ))
}
