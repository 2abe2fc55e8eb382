//! What devices can reach of memory, and by which addresses: every access of theirs goes through an IOMMU.
//!
//! A device uses logical addresses. Each is valid for one device, from the moment that it is mapped until it is unmapped, to the
//! byte; it says nothing of the physical address behind it. Addresses that were unmapped are given out again only when no others
//! are left, so that an access through one of them is known for what it is.

use std::{collections::BTreeMap, fmt, ops::Range};

use super::Slot;

/// Bytes of the pages that logical addresses are given out in.
const PAGE: u64 = 0x1000;

/// What a device does to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// Names a mapping, even after it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingId(u64);

/// Memory to map for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// The device that may use it.
    pub slot: Slot,
    /// Its first physical address. The logical address has the same offset in its page.
    pub physical: u64,
    /// Bytes.
    pub length: u64,
    /// The only access that the device may make; none when it may read and write.
    pub only: Option<Transfer>,
    /// What it is, for reports.
    pub what: &'static str,
}

/// Where logical addresses are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The addresses that may be used, whole pages.
    pub within: Range<u64>,
    /// The highest are taken first.
    pub from_top: bool,
}

/// Why a device's access to memory goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DmaFaultKind {
    /// The device was stopped, or was never started: it must not master the bus.
    NotMaster,
    /// Nothing was ever mapped there.
    NeverMapped,
    /// What was mapped there is mapped no more.
    Unmapped {
        /// What it was.
        what: &'static str,
        /// Its mapping.
        id: MappingId,
    },
    /// It begins in what is mapped there, and ends behind it.
    PastTheEnd {
        /// What is mapped there.
        what: &'static str,
        /// Its length, bytes.
        length: u64,
    },
    /// It is mapped for the other direction only.
    WrongDirection {
        /// What is mapped there.
        what: &'static str,
    },
    /// It is mapped for another device.
    Foreign(Slot),
    /// The memory behind it is none that anybody owns any more; in words.
    Memory(String),
}

/// An access by which a device would corrupt memory, or get at what is not its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmaFault {
    /// The device.
    pub slot: Slot,
    /// What it did.
    pub transfer: Transfer,
    /// At which logical address.
    pub address: u64,
    /// How many bytes.
    pub length: u64,
    /// Why not.
    pub kind: DmaFaultKind,
}

impl fmt::Display for DmaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transfer, address, length) = (self.transfer, self.address, self.length);
        write!(
            f,
            "DMA {transfer} of {length} bytes at the logical address {address:#x}: "
        )?;
        match &self.kind {
            DmaFaultKind::NotMaster => f.write_str("the device is not started"),
            DmaFaultKind::NeverMapped => f.write_str("nothing was ever mapped there for a device"),
            DmaFaultKind::Unmapped { what, .. } => write!(f, "the {what} there was freed before"),
            DmaFaultKind::PastTheEnd { what, length } => {
                write!(f, "it ends behind the {what} of {length} bytes there")
            }
            DmaFaultKind::WrongDirection { what } => write!(f, "the {what} there is mapped for the other direction"),
            DmaFaultKind::Foreign(slot) => write!(f, "what is mapped there is for device {}", slot.0),
            DmaFaultKind::Memory(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for DmaFault {}

#[derive(Debug)]
struct Entry {
    id: MappingId,
    mapping: Mapping,
    live: bool,
}

/// The pages that a mapping takes, and the one behind them, which stays unused.
fn pages(logical: u64, length: u64) -> Range<u64> {
    let start = logical - logical % PAGE;
    start..(logical + length).next_multiple_of(PAGE) + PAGE
}

/// The mappings of all devices.
#[derive(Debug, Default)]
pub struct Iommu {
    /// By logical address. Their pages do not overlap.
    entries: BTreeMap<u64, Entry>,
    made: u64,
}

impl Iommu {
    /// Maps memory for a device and says at which logical address; none when the addresses are used up.
    pub fn map(&mut self, mapping: Mapping, placement: &Placement) -> Option<u64> {
        let offset = mapping.physical % PAGE;
        let taken = pages(offset, mapping.length).end;
        let start = self.fresh(taken, placement).or_else(|| self.gap(taken, placement))?;
        let overlapping = |&(&logical, entry): &(&u64, &Entry)| {
            let other = pages(logical, entry.mapping.length);
            other.start < start + taken && start < other.end
        };
        let stale: Vec<u64> = self
            .entries
            .iter()
            .filter(overlapping)
            .map(|(&logical, _)| logical)
            .collect();
        for logical in stale {
            self.entries.remove(&logical);
        }
        self.made += 1;
        let entry = Entry {
            id: MappingId(self.made),
            mapping,
            live: true,
        };
        self.entries.insert(start + offset, entry);
        Some(start + offset)
    }

    /// Addresses that were never used, beyond those that were.
    fn fresh(&self, taken: u64, placement: &Placement) -> Option<u64> {
        let within = &placement.within;
        let mut used = self.entries.range(within.clone());
        if placement.from_top {
            let end = used.next().map_or(within.end, |(&logical, _)| logical - logical % PAGE);
            // The page behind the highest is no device's either.
            let end = if end == within.end { end + PAGE } else { end };
            end.checked_sub(taken).filter(|&start| start >= within.start)
        } else {
            let last = used.next_back();
            let start = last.map_or(within.start, |(&logical, entry)| {
                pages(logical, entry.mapping.length).end
            });
            (start + taken <= within.end + PAGE).then_some(start)
        }
    }

    /// The lowest addresses that nothing is mapped at now.
    fn gap(&self, taken: u64, placement: &Placement) -> Option<u64> {
        let live = self.entries.iter().filter(|(_, entry)| entry.live);
        let start = live.fold(placement.within.start, |start, (&logical, entry)| {
            let other = pages(logical, entry.mapping.length);
            if start + taken <= other.start {
                start
            } else {
                start.max(other.end)
            }
        });
        (start + taken <= placement.within.end + PAGE).then_some(start)
    }

    /// Unmaps what was mapped at `logical`: the device must not use it any more.
    pub fn unmap(&mut self, logical: u64) -> Option<MappingId> {
        let entry = self.entries.get_mut(&logical).filter(|entry| entry.live)?;
        entry.live = false;
        Some(entry.id)
    }

    /// The physical address that an access of a device goes to.
    ///
    /// # Errors
    /// When it may not make that access.
    pub fn translate(&self, slot: Slot, transfer: Transfer, address: u64, length: u64) -> Result<u64, DmaFault> {
        let fault = |kind| DmaFault {
            slot,
            transfer,
            address,
            length,
            kind,
        };
        let found = self.entries.range(..=address).next_back();
        let found = found.filter(|&(&logical, entry)| address - logical < entry.mapping.length);
        let Some((&logical, entry)) = found else {
            return Err(fault(DmaFaultKind::NeverMapped));
        };
        let mapping = &entry.mapping;
        let what = mapping.what;
        if mapping.slot != slot {
            return Err(fault(DmaFaultKind::Foreign(mapping.slot)));
        }
        if !entry.live {
            return Err(fault(DmaFaultKind::Unmapped { what, id: entry.id }));
        }
        if mapping.only.is_some_and(|only| only != transfer) {
            return Err(fault(DmaFaultKind::WrongDirection { what }));
        }
        let offset = address - logical;
        if length > mapping.length - offset {
            let length = mapping.length;
            return Err(fault(DmaFaultKind::PastTheEnd { what, length }));
        }
        Ok(mapping.physical + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot(3);

    fn memory(physical: u64, length: u64) -> Mapping {
        Mapping {
            slot: SLOT,
            physical,
            length,
            only: None,
            what: "buffer",
        }
    }

    fn below(end: u64) -> Placement {
        Placement {
            within: 0x1_0000..end,
            from_top: false,
        }
    }

    fn kind(iommu: &Iommu, transfer: Transfer, address: u64, length: u64) -> DmaFaultKind {
        iommu.translate(SLOT, transfer, address, length).unwrap_err().kind
    }

    #[test]
    fn logical_addresses_lead_to_memory_to_the_byte() {
        let mut iommu = Iommu::default();
        let logical = iommu.map(memory(0x9_0010, 0x20), &below(1 << 28)).unwrap();
        assert_eq!(logical % PAGE, 0x10);
        assert_eq!(iommu.translate(SLOT, Transfer::Read, logical + 0x1F, 1), Ok(0x9_002F));
        assert_eq!(
            kind(&iommu, Transfer::Write, logical + 0x1F, 2),
            DmaFaultKind::PastTheEnd {
                what: "buffer",
                length: 0x20
            }
        );
        assert_eq!(
            kind(&iommu, Transfer::Write, logical + 0x20, 1),
            DmaFaultKind::NeverMapped
        );
        assert_eq!(kind(&iommu, Transfer::Write, logical - 1, 1), DmaFaultKind::NeverMapped);
    }

    #[test]
    fn a_mapping_is_for_one_device_and_perhaps_one_direction() {
        let mut iommu = Iommu::default();
        let only = Some(Transfer::Read);
        let logical = iommu.map(Mapping { only, ..memory(0, 8) }, &below(1 << 28)).unwrap();
        assert_eq!(
            kind(&iommu, Transfer::Write, logical, 8),
            DmaFaultKind::WrongDirection { what: "buffer" }
        );
        let other = iommu.translate(Slot(4), Transfer::Read, logical, 8).unwrap_err();
        assert_eq!(other.kind, DmaFaultKind::Foreign(SLOT));
    }

    #[test]
    fn what_was_unmapped_is_remembered() {
        let mut iommu = Iommu::default();
        let logical = iommu.map(memory(0, 8), &below(1 << 28)).unwrap();
        let id = iommu.unmap(logical).unwrap();
        assert_eq!(iommu.unmap(logical), None);
        let next = iommu.map(memory(0, 8), &below(1 << 28)).unwrap();
        assert!(next > logical);
        assert_eq!(
            kind(&iommu, Transfer::Read, logical, 8),
            DmaFaultKind::Unmapped { what: "buffer", id }
        );
    }

    #[test]
    fn the_top_is_the_last_page_below_the_end() {
        let mut iommu = Iommu::default();
        let top = Placement {
            from_top: true,
            ..below(1 << 28)
        };
        assert_eq!(iommu.map(memory(0, 0x1000), &top), Some(0x0FFF_F000));
        // A page between them stays unused.
        assert_eq!(iommu.map(memory(0, 0x1001), &top), Some(0x0FFF_C000));
    }

    #[test]
    fn addresses_are_used_again_when_no_others_are_left() {
        let mut iommu = Iommu::default();
        let small = below(0x1_3000);
        let first = iommu.map(memory(0, 8), &small).unwrap();
        let second = iommu.map(memory(0, 8), &small).unwrap();
        assert_eq!((first, second), (0x1_0000, 0x1_2000));
        assert_eq!(iommu.map(memory(0, 8), &small), None);
        iommu.unmap(first);
        assert_eq!(iommu.map(memory(0x50, 8), &small), Some(0x1_0050));
        assert_eq!(iommu.translate(SLOT, Transfer::Read, 0x1_0050, 8), Ok(0x50));
    }
}
