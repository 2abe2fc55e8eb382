//! Who wrote which byte, and what the writers knew: the sharing rule's memory of memory.

use std::{collections::BTreeMap, ops::Range};

use super::{AccessSite, clock::VectorClock};

/// The bytes that one shadow cell covers.
const CELL: u64 = 8;
/// The bytes of a page.
const PAGE: u64 = 0x1000;
/// The cells of a page.
const CELLS: usize = 0x1000 / 8;

/// The cells of all memory that was ever accessed, by page.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    /// Where each page lies in `pages`, by page number.
    index: BTreeMap<u64, usize>,
    pages: Vec<Box<[Cell]>>,
    /// The page of the last access.
    recent: Option<(u64, usize)>,
}

/// What is known of [`CELL`] bytes. Masks have a bit per byte.
#[derive(Debug, Default, Clone)]
pub(super) struct Cell {
    /// The latest writes, and the latest unlocked read-modify-writes, of each processor.
    writes: Vec<Write>,
    /// Who stored each byte last, with what that processor knew.
    stores: Vec<Store>,
}

/// A write to some bytes of a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub mask: u8,
    pub site: AccessSite,
    /// The step of its processor in which it was made.
    pub step: u32,
    /// Whether it was an unlocked read-modify-write.
    pub update: bool,
}

/// A store that later loads read, of some bytes of a cell.
#[derive(Debug, Clone, Copy)]
struct Store {
    mask: u8,
    /// The processor; none for a device.
    by: Option<usize>,
    clock: VectorClock,
}

impl Cell {
    /// The `clock` of a processor, or of a device, learns what those knew whose stores it reads.
    pub(super) fn learn(&self, by: Option<usize>, mask: u8, clock: &mut VectorClock) {
        for store in &self.stores {
            if store.by != by && store.mask & mask != 0 {
                clock.join(&store.clock);
            }
        }
    }

    /// The latest write of any of the bytes in `mask`.
    pub(super) fn last_write(&self, mask: u8) -> Option<AccessSite> {
        let mut writes = self.writes.iter().rev();
        writes.find(|write| write.mask & mask != 0).map(|write| write.site)
    }

    /// The write by another processor that `write` should have been ordered with, going by what was `known`.
    pub(super) fn conflict(&self, write: &Write, known: &VectorClock) -> Option<&Write> {
        self.writes.iter().find(|earlier| {
            earlier.mask & write.mask != 0
                && earlier.site.processor != write.site.processor
                && (earlier.update || write.update)
                && earlier.step > known.of(earlier.site.processor)
        })
    }

    /// Notes a write whose processor knew what `clock` says.
    pub(super) fn record(&mut self, write: Write, clock: &VectorClock) {
        let processor = write.site.processor;
        // What is unordered with an earlier write of this processor is unordered with this one; but a plain write does not
        // stand for an update, which conflicts with more.
        self.writes.retain_mut(|earlier| {
            if earlier.site.processor == processor && (write.update || !earlier.update) {
                earlier.mask &= !write.mask;
            }
            earlier.mask != 0
        });
        self.writes.push(write);
        self.stores.retain_mut(|store| {
            store.mask &= !write.mask;
            store.mask != 0
        });
        self.stores.push(Store {
            mask: write.mask,
            by: Some(processor),
            clock: if write.update { clock.before(processor) } else { *clock },
        });
    }

    /// Notes a store by a device that knew what `clock` says. Nobody's earlier writes of those bytes matter any more.
    pub(super) fn overwrite(&mut self, mask: u8, clock: VectorClock) {
        self.clear(mask);
        self.stores.push(Store { mask, by: None, clock });
    }

    fn clear(&mut self, mask: u8) {
        self.writes.retain_mut(|write| {
            write.mask &= !mask;
            write.mask != 0
        });
        self.stores.retain_mut(|store| {
            store.mask &= !mask;
            store.mask != 0
        });
    }
}

impl Shadow {
    /// Calls `visit` with each cell that `bytes` touches: its address, itself, and the mask of its bytes among them.
    pub(super) fn for_each_cell(&mut self, bytes: &Range<u64>, mut visit: impl FnMut(u64, &mut Cell, u8)) {
        let mut address = bytes.start;
        while address < bytes.end {
            let base = address - address % CELL;
            let end = bytes.end.min(base + CELL);
            let cell = (base % PAGE / CELL) as usize;
            visit(base, &mut self.page(base / PAGE)[cell], mask(base, address, end));
            address = end;
        }
    }

    /// Forgets what happened to `bytes`.
    pub(super) fn clear(&mut self, bytes: Range<u64>) {
        if bytes.is_empty() {
            return;
        }
        for (&number, &page) in self.index.range(bytes.start / PAGE..=(bytes.end - 1) / PAGE) {
            let mut address = bytes.start.max(number * PAGE);
            let page_end = bytes.end.min((number + 1) * PAGE);
            while address < page_end {
                let base = address - address % CELL;
                let end = page_end.min(base + CELL);
                self.pages[page][(base % PAGE / CELL) as usize].clear(mask(base, address, end));
                address = end;
            }
        }
    }

    fn page(&mut self, number: u64) -> &mut [Cell] {
        let page = match self.recent {
            Some((recent, page)) if recent == number => page,
            _ => {
                let fresh = self.pages.len();
                let page = *self.index.entry(number).or_insert(fresh);
                if page == fresh {
                    self.pages.push(vec![Cell::default(); CELLS].into_boxed_slice());
                }
                self.recent = Some((number, page));
                page
            }
        };
        &mut self.pages[page]
    }
}

/// The bits of the bytes `start..end` in the cell at `base`.
fn mask(base: u64, start: u64, end: u64) -> u8 {
    (start..end).fold(0, |mask, address| mask | 1 << (address - base))
}
