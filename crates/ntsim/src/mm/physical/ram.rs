//! Where physical memory comes from: below 4 GiB by address, above it in the order in which it is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{LIMIT, books};
use crate::{
    kernel::Kernel,
    mm::{
        AddressSpace, DEVICE_HOLE, PAGE_SIZE, Pa, RAM_BASE,
        frames::{FRAMES_PER_CHUNK, Frames},
        layout,
    },
};

/// The RAM below 4 GiB that can be allocated. What lies below 1 MiB is firmware's.
const LOW: Range<u64> = 0x10_0000..DEVICE_HOLE.0;
/// RAM below 4 GiB is given to the emulator in pieces of this size.
const CHUNK: u64 = 0x1_0000;

/// The physical addresses that a caller can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub lowest: u64,
    /// The last of them.
    pub highest: u64,
    /// What the memory must not cross a multiple of; 0 for nothing.
    pub boundary: u64,
}

impl Reach {
    pub(super) const ANYWHERE: Self = Self {
        lowest: 0,
        highest: u64::MAX,
        boundary: 0,
    };
}

/// Whole pages that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub start: Pa,
    /// Bytes.
    pub length: u64,
    /// The zone that a single frame goes back to; none for a piece that was taken as a whole.
    zone: Option<usize>,
}

/// Single frames within one caller's reach.
#[derive(Debug)]
struct Zone {
    reach: Reach,
    frames: Frames,
}

/// The books of physical memory.
#[derive(Debug, Default)]
pub(super) struct Ram {
    /// Ranges below 4 GiB that are in use: start and end.
    live: BTreeMap<u64, u64>,
    /// Ranges that were freed and not given out again.
    freed: BTreeMap<u64, u64>,
    /// The pieces of RAM below 4 GiB that the emulator has.
    backed: BTreeSet<u64>,
    zones: Vec<Zone>,
    /// Bytes in use.
    taken: u64,
}

/// The last range that starts below `end` and reaches beyond `start`.
fn overlapping(ranges: &BTreeMap<u64, u64>, start: u64, end: u64) -> Option<Range<u64>> {
    let (&first, &last) = ranges.range(..end).next_back()?;
    (last > start).then_some(first..last)
}

impl Ram {
    /// The highest free place for `length` bytes below 4 GiB within `reach`, and outside the ranges of `avoided`.
    fn find_low(&self, length: u64, reach: Reach, avoid_freed: bool) -> Option<u64> {
        let start = reach.lowest.max(LOW.start).checked_next_multiple_of(PAGE_SIZE)?;
        let end = reach.highest.saturating_add(1).min(LOW.end) / PAGE_SIZE * PAGE_SIZE;
        let mut candidate = end.checked_sub(length)?;
        while candidate >= start {
            let last = candidate + length - 1;
            if reach.boundary != 0 && candidate / reach.boundary != last / reach.boundary {
                candidate = (last / reach.boundary * reach.boundary).checked_sub(length)?;
                continue;
            }
            // A page between two allocations belongs to nobody.
            let with_gap = candidate + length + PAGE_SIZE;
            let in_the_way = overlapping(&self.live, candidate.saturating_sub(PAGE_SIZE), with_gap).or_else(|| {
                avoid_freed
                    .then(|| overlapping(&self.freed, candidate, candidate + length))
                    .flatten()
            });
            match in_the_way {
                None => return Some(candidate),
                Some(range) => candidate = range.start.checked_sub(length + PAGE_SIZE)?,
            }
        }
        None
    }

    fn take_low(&mut self, length: u64, reach: Reach) -> Option<u64> {
        let fresh = self.find_low(length, reach, true);
        let start = fresh.or_else(|| self.find_low(length, reach, false))?;
        while let Some(range) = overlapping(&self.freed, start, start + length) {
            self.freed.remove(&range.start);
        }
        self.live.insert(start, start + length);
        Some(start)
    }

    /// The chunks of a range that the emulator does not have yet, as ranges.
    fn unbacked(&mut self, start: u64, length: u64) -> Vec<Range<u64>> {
        let mut missing: Vec<Range<u64>> = Vec::new();
        for chunk in start / CHUNK..(start + length).div_ceil(CHUNK) {
            if !self.backed.insert(chunk) {
                continue;
            }
            let range = chunk * CHUNK..(chunk + 1) * CHUNK;
            match missing.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => missing.push(range),
            }
        }
        missing
    }

    /// Gives memory back.
    pub(super) fn free(&mut self, piece: Piece) {
        self.taken -= piece.length;
        if let Some(zone) = piece.zone {
            self.zones[zone].frames.unmap(piece.start);
        } else {
            self.live.remove(&piece.start.0);
            self.freed.insert(piece.start.0, piece.start.0 + piece.length);
        }
    }

    /// Whether the bytes from `physical` on, below 4 GiB, are those of one range that is in use.
    pub(super) fn is_taken(&self, physical: Pa, length: u64) -> bool {
        let found = self.live.range(..=physical.0).next_back();
        found.is_some_and(|(_, &end)| physical.0 + length <= end)
    }

    /// Whether some of the bytes from `physical` on were freed.
    pub(super) fn is_freed(&self, physical: Pa, length: u64) -> bool {
        let (start, end) = (physical.0, physical.0 + length);
        if overlapping(&self.freed, start, end).is_some() {
            return true;
        }
        let mut frames = (start / PAGE_SIZE..end.div_ceil(PAGE_SIZE)).map(|frame| Pa(frame * PAGE_SIZE));
        frames.any(|frame| self.zones.iter().any(|zone| zone.frames.is_free(frame)))
    }
}

/// Takes `length` bytes side by side, rounded up to whole pages; none when there is no such memory.
pub(super) fn take(k: &Kernel, length: u64, reach: Reach) -> Option<Piece> {
    let length = whole_pages(k, length)?;
    let start = take_range(k, length, reach)?;
    books(k).borrow_mut().ram.taken += length;
    Some(Piece {
        start,
        length,
        zone: None,
    })
}

/// Takes single frames for `length` bytes, or for as much of them as there is memory.
pub(super) fn take_frames(k: &Kernel, length: u64, reach: Reach) -> Vec<Piece> {
    let books = books(k);
    let available = (LIMIT - books.borrow().ram.taken) / PAGE_SIZE;
    let wanted = length.div_ceil(PAGE_SIZE).min(available);
    let zone = zone_of(k, reach);
    let mut pieces = Vec::new();
    for _ in 0..wanted {
        if books.borrow().ram.zones[zone].frames.free() == 0 {
            let Some(chunk) = take_range(k, FRAMES_PER_CHUNK * PAGE_SIZE, reach) else {
                break;
            };
            books.borrow_mut().ram.zones[zone].frames.add_chunk(chunk);
        }
        let mut books = books.borrow_mut();
        books.ram.taken += PAGE_SIZE;
        let frame = books.ram.zones[zone].frames.take();
        pieces.push(Piece {
            start: frame.expect("there is a free one"),
            length: PAGE_SIZE,
            zone: Some(zone),
        });
    }
    pieces
}

fn zone_of(k: &Kernel, reach: Reach) -> usize {
    let books = books(k);
    let zones = &mut books.borrow_mut().ram.zones;
    let known = zones.iter().position(|zone| zone.reach == reach);
    known.unwrap_or_else(|| {
        zones.push(Zone {
            reach,
            frames: Frames::default(),
        });
        zones.len() - 1
    })
}

/// `length` rounded up; none when that is nothing, or more than there is.
fn whole_pages(k: &Kernel, length: u64) -> Option<u64> {
    let available = LIMIT - books(k).borrow().ram.taken;
    (length != 0 && length <= available).then(|| AddressSpace::round_up(length))
}

fn take_range(k: &Kernel, length: u64, reach: Reach) -> Option<Pa> {
    if reach.boundary != 0 && reach.boundary < length {
        return None;
    }
    take_high(k, length, reach).or_else(|| {
        let books = books(k);
        let start = books.borrow_mut().ram.take_low(length, reach)?;
        let missing = books.borrow_mut().ram.unbacked(start, length);
        for range in missing {
            let mut engine = k.engine().borrow_mut();
            let mapped = engine.map_ram(Pa(range.start), range.end - range.start);
            mapped.expect("RAM that nobody has can be mapped");
        }
        Some(Pa(start))
    })
}

/// RAM above 4 GiB: what a caller gets that can use it, so that nobody relies on less.
fn take_high(k: &Kernel, length: u64, reach: Reach) -> Option<Pa> {
    let place = |free: Pa| {
        let mut start = free.0.max(reach.lowest).checked_next_multiple_of(PAGE_SIZE)?;
        let last = start.checked_add(length - 1)?;
        if reach.boundary != 0 && start / reach.boundary != last / reach.boundary {
            start = start.checked_next_multiple_of(reach.boundary)?;
        }
        let end = start.checked_add(length)?;
        (end <= layout::POOL_PHYSICAL.0 && end - 1 <= reach.highest).then_some(Pa(start))
    };
    if !k.watch().space.borrow().has_ram(length) {
        return None;
    }
    let start = k.watch().space.borrow_mut().take_ram_at(length, place)?;
    k.back_ram(start, length);
    Some(start)
}

/// The machine's RAM, as ranges of physical addresses: what `MmGetPhysicalMemoryRanges` tells.
pub(crate) fn ranges() -> [Range<u64>; 2] {
    [LOW, RAM_BASE.0..layout::POOL_PHYSICAL.0 + layout::POOL_LENGTH]
}

/// Fills a piece with `byte`.
pub(super) fn fill(k: &Kernel, piece: Piece, byte: u8) {
    let length = usize::try_from(piece.length).expect("it fits the host");
    k.engine().borrow_mut().write(piece.start, &vec![byte; length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(lowest: u64, highest: u64, boundary: u64) -> Reach {
        Reach {
            lowest,
            highest,
            boundary,
        }
    }

    #[test]
    fn memory_is_taken_from_the_top_of_what_the_caller_reaches() {
        let mut ram = Ram::default();
        let isa = reach(0, 0xFF_FFFF, 0);
        assert_eq!(ram.take_low(0x2000, isa), Some(0xFF_E000));
        assert_eq!(ram.take_low(0x1000, isa), Some(0xFF_C000), "a page is between them");
        assert_eq!(ram.take_low(0x1000, reach(0, 0x7FFF_FFFF, 0)), Some(0x7FFF_F000));
        assert_eq!(ram.take_low(0x1000, reach(0, 0xF_FFFF, 0)), None);
    }

    #[test]
    fn no_multiple_of_the_boundary_is_crossed() {
        let mut ram = Ram::default();
        let limited = reach(0, 0x40_0FFF, 0x1_0000);
        assert_eq!(ram.take_low(0x2000, limited), Some(0x3F_E000));
        assert_eq!(ram.take_low(0x1_0000, limited), Some(0x3E_0000));
    }

    #[test]
    fn freed_memory_is_given_out_again_only_when_no_other_is_left() {
        let mut ram = Ram::default();
        let reach = reach(0x10_0000, 0x10_5FFF, 0);
        let take = |ram: &mut Ram| {
            ram.taken += 0x2000;
            ram.take_low(0x2000, reach)
        };
        let first = take(&mut ram).unwrap();
        let piece = Piece {
            start: Pa(first),
            length: 0x2000,
            zone: None,
        };
        ram.free(piece);
        assert!(ram.is_freed(Pa(first + 0x1FFF), 1) && !ram.is_freed(Pa(first + 0x2000), 1));
        assert_eq!(take(&mut ram), Some(0x10_1000));
        assert_eq!(take(&mut ram), Some(first));
        assert!(!ram.is_freed(Pa(first), 0x2000));
        assert_eq!(take(&mut ram), None);
    }
}
