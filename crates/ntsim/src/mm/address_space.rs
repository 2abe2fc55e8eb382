//! Which physical memory each guest virtual address means, and what may be done with it.
//!
//! The emulator asks for translations through its TLB hook; the model's own accesses translate through the same map. Mappings
//! are ranges, since nothing here needs a page table's shape.

use std::collections::BTreeMap;

use super::{PAGE_SIZE, Pa, Va};

/// What an access may do to the memory behind a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Stores are allowed.
    pub write: bool,
    /// Instructions may be fetched.
    pub execute: bool,
}

impl Protection {
    /// Loads only.
    pub const READ: Self = Self {
        write: false,
        execute: false,
    };
    /// Loads and stores.
    pub const READ_WRITE: Self = Self {
        write: true,
        execute: false,
    };
    /// Loads and instruction fetches.
    pub const READ_EXECUTE: Self = Self {
        write: false,
        execute: true,
    };
}

/// A contiguous range of virtual addresses and the physical range behind it.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Where it starts.
    pub start: Va,
    /// How long it is, in bytes; a multiple of the page size.
    pub length: u64,
    /// The physical address behind `start`.
    pub physical: Pa,
    /// What accesses may do.
    pub protection: Protection,
    /// What the range is, for reports.
    pub what: String,
}

impl Mapping {
    fn contains(&self, va: Va) -> bool {
        va - self.start < self.length
    }
}

/// Where the RAM above 4 GiB starts: what the machine hands out where nobody asks for lower addresses.
pub const RAM_BASE: Pa = Pa(0x1_0000_0000);
/// Where the hole below 4 GiB starts that PC firmware leaves for devices. RAM lies below and above it.
pub const DEVICE_HOLE: Pa = Pa(0x8000_0000);

/// Where the RAM ends that is handed out in order: with what may be skipped before, and the page between any two, all of it lies below.
const FAR_RAM: Pa = Pa(RAM_BASE.0 + (16 << 30));
/// RAM in order is skipped up to here only, so that nobody who asks for high addresses uses up what everybody else is given.
const MOST_SKIPPED: Pa = Pa(RAM_BASE.0 + (8 << 30));

/// Whether a physical address belongs to devices rather than to RAM.
#[must_use]
pub const fn is_device(pa: Pa) -> bool {
    pa.0.wrapping_sub(DEVICE_HOLE.0) < RAM_BASE.0 - DEVICE_HOLE.0
}

/// The virtual-to-physical map.
#[derive(Debug)]
pub struct AddressSpace {
    by_start: BTreeMap<Va, Mapping>,
    /// Physical range start -> (length, first virtual address it was mapped at), for reports.
    reverse: BTreeMap<Pa, (u64, Va)>,
    next_ram: Pa,
    /// Where RAM goes that has to lie far above what was handed out so far.
    next_far: Pa,
    /// Bytes of RAM taken.
    taken: u64,
    /// In so many pieces.
    pieces: u64,
}

impl Default for AddressSpace {
    fn default() -> Self {
        Self {
            by_start: BTreeMap::new(),
            reverse: BTreeMap::new(),
            next_ram: RAM_BASE,
            next_far: FAR_RAM,
            taken: 0,
            pieces: 0,
        }
    }
}

impl AddressSpace {
    /// Rounds a length up to whole pages. The last page of all, which is not whole, is left out.
    #[must_use]
    pub const fn round_up(length: u64) -> u64 {
        length.saturating_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
    }

    /// Takes `length` bytes of RAM that nothing else uses. An unused page stays between allocations.
    pub fn take_ram(&mut self, length: u64) -> Pa {
        let start = self.next_ram;
        self.next_ram = start + Self::round_up(length) + PAGE_SIZE;
        self.taken += Self::round_up(length);
        self.pieces += 1;
        start
    }

    /// Whether there are `length` more bytes of RAM to take. Where a driver says how many, whoever takes them asks first.
    #[must_use]
    pub const fn has_ram(&self, length: u64) -> bool {
        /// More would be taken from the host: it is not given back before the machine ends.
        const MOST: u64 = 2 << 30;
        /// Each is a mapping of the host's, and the emulator looks through all of them.
        const MOST_PIECES: u64 = 1 << 12;
        length <= MOST && self.taken + length <= MOST && self.pieces < MOST_PIECES
    }

    /// Takes `length` bytes of RAM at the address that `place` gives for the lowest one that is free. None when it gives none.
    pub fn take_ram_at(&mut self, length: u64, place: impl Fn(Pa) -> Option<Pa>) -> Option<Pa> {
        let near = place(self.next_ram)?;
        if near == self.next_ram || near < MOST_SKIPPED {
            self.next_ram = near;
            return Some(self.take_ram(length));
        }
        let far = place(self.next_far)?;
        self.next_far = far + Self::round_up(length) + PAGE_SIZE;
        self.taken += Self::round_up(length);
        self.pieces += 1;
        Some(far)
    }

    /// Adds a mapping.
    ///
    /// # Panics
    /// When the range overlaps one that is mapped already: the caller chose the address.
    pub fn map(&mut self, mapping: Mapping) {
        assert!(
            self.find(mapping.start).is_none()
                && self
                    .by_start
                    .range(mapping.start..mapping.start + mapping.length)
                    .next()
                    .is_none(),
            "{} overlaps a mapping",
            mapping.what
        );
        self.reverse
            .entry(mapping.physical)
            .or_insert((mapping.length, mapping.start));
        self.by_start.insert(mapping.start, mapping);
    }

    /// Removes the mapping that starts at `start`.
    pub fn unmap(&mut self, start: Va) -> Option<Mapping> {
        let mapping = self.by_start.remove(&start)?;
        if self.reverse.get(&mapping.physical).is_some_and(|&(_, va)| va == start) {
            self.reverse.remove(&mapping.physical);
        }
        Some(mapping)
    }

    /// The mapping that holds `va`.
    #[must_use]
    pub fn find(&self, va: Va) -> Option<&Mapping> {
        let (_, mapping) = self.by_start.range(..=va).next_back()?;
        mapping.contains(va).then_some(mapping)
    }

    /// The physical address behind `va`, when the `length` bytes from there lie in one mapping.
    #[must_use]
    pub fn translate(&self, va: Va, length: u64) -> Option<(Pa, Protection)> {
        let mapping = self.find(va)?;
        let offset = va - mapping.start;
        (length <= mapping.length - offset).then(|| (mapping.physical + offset, mapping.protection))
    }

    /// The physical address behind `va`, and how many bytes from there lie in the same mapping.
    #[must_use]
    pub fn translate_prefix(&self, va: Va) -> Option<(Pa, Protection, u64)> {
        let mapping = self.find(va)?;
        let offset = va - mapping.start;
        Some((mapping.physical + offset, mapping.protection, mapping.length - offset))
    }

    /// Changes what accesses to the mapping that starts at `start` may do.
    pub fn protect(&mut self, start: Va, protection: Protection) {
        if let Some(mapping) = self.by_start.get_mut(&start) {
            mapping.protection = protection;
        }
    }

    /// The virtual address that a physical one was first mapped at.
    #[must_use]
    pub fn virtual_of(&self, pa: Pa) -> Option<Va> {
        let (&start, &(length, va)) = self.reverse.range(..=pa).next_back()?;
        let offset = pa - start;
        (offset < length).then(|| va + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, length: u64, physical: u64) -> Mapping {
        Mapping {
            start: Va(start),
            length,
            physical: Pa(physical),
            protection: Protection::READ_WRITE,
            what: "test".to_owned(),
        }
    }

    #[test]
    fn translates_within_one_mapping_only() {
        let mut space = AddressSpace::default();
        space.map(mapping(0xFFFF_8000_0000_1000, 0x2000, 0x5000));
        assert_eq!(space.translate(Va(0xFFFF_8000_0000_1010), 8).unwrap().0, Pa(0x5010));
        assert!(space.translate(Va(0xFFFF_8000_0000_2FFC), 8).is_none());
        assert!(space.translate(Va(0xFFFF_8000_0000_0FFF), 1).is_none());
        assert!(space.translate(Va(0xFFFF_8000_0000_3000), 1).is_none());
    }

    #[test]
    fn physical_addresses_lead_back() {
        let mut space = AddressSpace::default();
        space.map(mapping(0x1000, 0x1000, 0x9000));
        assert_eq!(space.virtual_of(Pa(0x9123)), Some(Va(0x1123)));
        assert!(space.unmap(Va(0x1000)).is_some());
        assert_eq!(space.virtual_of(Pa(0x9123)), None);
    }

    #[test]
    fn there_is_so_much_ram_and_no_more() {
        let mut space = AddressSpace::default();
        assert!(space.has_ram(2 << 30) && !space.has_ram((2 << 30) + 1) && !space.has_ram(u64::MAX));
        space.take_ram(1);
        assert!(space.has_ram((2 << 30) - 0x1000) && !space.has_ram(2 << 30));
    }

    #[test]
    fn high_addresses_leave_the_lower_ones_to_others() {
        let mut space = AddressSpace::default();
        let first = space.take_ram(0x1000);
        let above = |lowest: u64| move |free: Pa| Some(free.max(Pa(lowest)));
        let far = 0x1F_FFFF_E000;
        assert_eq!(space.take_ram_at(0x1000, above(far)), Some(Pa(far)));
        assert_eq!(space.take_ram_at(0x1000, above(far)), Some(Pa(far + 0x2000)));
        assert_eq!(space.take_ram(0x1000), first + 0x2000_u64);
        assert_eq!(space.take_ram_at(0x1000, above(0x1_8000_0000)), Some(Pa(0x1_8000_0000)));
        assert_eq!(space.take_ram(0x1000), Pa(0x1_8000_2000));
        assert_eq!(space.take_ram_at(0x1000, |_| None), None);
    }

    #[test]
    fn ram_is_handed_out_once() {
        let mut space = AddressSpace::default();
        let first = space.take_ram(0x1001);
        let second = space.take_ram(1);
        assert!(second - first > 0x2000);
    }
}
