//! Guest memory as the model reads and writes it, and where it comes from.

use super::Kernel;
use crate::{
    bugcheck::Outcome,
    mm::{self, AddressSpace, GuestValue, Mapping, Pa, Protection, Va, layout, pool::POOL_BASE},
};

/// The most bytes that are read or filled at once.
const PIECE: usize = 1 << 16;

impl Kernel {
    /// Reads a value from guest memory.
    ///
    /// # Errors
    /// When a driver could not read there: the bug check that Windows would raise has been raised.
    pub fn read<T: GuestValue>(&self, va: Va) -> Outcome<T> {
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..T::SIZE];
        self.read_into(va, bytes)?;
        Ok(T::from_guest(bytes))
    }

    /// Writes a value to guest memory.
    ///
    /// # Errors
    /// As for [`Kernel::read`].
    pub fn write<T: GuestValue>(&self, va: Va, value: T) -> Outcome<()> {
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..T::SIZE];
        value.to_guest(bytes);
        self.write_bytes(va, bytes)
    }

    /// Fills `bytes` from guest memory.
    ///
    /// # Errors
    /// As for [`Kernel::read`].
    pub fn read_into(&self, va: Va, bytes: &mut [u8]) -> Outcome<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            let (pa, length) = mm::fault::check_access(self, va + done, rest.len(), false)?;
            self.engine().borrow().read(pa, &mut rest[..length]);
            done += length;
        }
        Ok(())
    }

    /// Reads `length` bytes of guest memory.
    ///
    /// # Errors
    /// As for [`Kernel::read`].
    pub fn read_bytes(&self, va: Va, length: usize) -> Outcome<Vec<u8>> {
        // Piece by piece: a length that a driver has computed wrongly ends at the first page that is not there.
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let done = bytes.len();
            bytes.resize(length.min(done + PIECE), 0);
            self.read_into(va + done, &mut bytes[done..])?;
        }
        Ok(bytes)
    }

    /// Writes bytes to guest memory.
    ///
    /// # Errors
    /// As for [`Kernel::read`].
    pub fn write_bytes(&self, va: Va, bytes: &[u8]) -> Outcome<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let (pa, length) = mm::fault::check_access(self, va + done, rest.len(), true)?;
            self.engine().borrow_mut().write(pa, &rest[..length]);
            done += length;
        }
        Ok(())
    }

    /// Sets `length` bytes of guest memory to `byte`.
    ///
    /// # Errors
    /// As for [`Kernel::read`].
    pub fn fill(&self, va: Va, byte: u8, length: usize) -> Outcome<()> {
        let piece = vec![byte; length.min(PIECE)];
        let mut done = 0;
        while done < length {
            let next = piece.len().min(length - done);
            self.write_bytes(va + done, &piece[..next])?;
            done += next;
        }
        Ok(())
    }

    /// Reads memory for a report: no checks, no consequences.
    #[must_use]
    pub fn peek(&self, va: Va) -> Option<u64> {
        let (pa, _) = self.watch().space.borrow().translate(va, 8)?;
        let pool = self.watch().pool.borrow();
        let unbacked = va - POOL_BASE < layout::POOL_LENGTH && va + 8_u64 > pool.end();
        let device = mm::is_device(pa);
        if unbacked || device {
            return None;
        }
        let mut bytes = [0; 8];
        self.engine().try_borrow().ok()?.read(pa, &mut bytes);
        Some(u64::from_le_bytes(bytes))
    }

    /// The instruction that has last stored to any of the `length` bytes at `va`, which are in one mapping; none when no driver has since the
    /// memory was allocated. What the model writes does not count.
    pub(crate) fn last_store(&self, va: Va, length: u64) -> Option<Va> {
        let (pa, _) = self.watch().space.borrow().translate(va, length)?;
        let site = self.watch().sharing.borrow_mut().last_store(&(pa.0..pa.0 + length));
        site.map(|site| Va(site.pc))
    }

    /// Maps fresh zeroed RAM at `start`.
    ///
    /// # Panics
    /// When the emulator refuses: the address comes from the machine's own layout.
    pub(crate) fn map_ram(&self, start: Va, length: u64, protection: Protection, what: &str) -> Pa {
        let physical = self.reserve_ram(length);
        self.map_physical(start, physical, length, protection, what);
        physical
    }

    /// Takes fresh zeroed RAM that no virtual address means yet.
    ///
    /// # Panics
    /// When the emulator refuses: the address comes from the machine's own layout.
    pub(crate) fn reserve_ram(&self, length: u64) -> Pa {
        let length = AddressSpace::round_up(length);
        let physical = self.watch().space.borrow_mut().take_ram(length);
        self.back_ram(physical, length);
        physical
    }

    /// Gives the emulator RAM that was taken.
    ///
    /// # Panics
    /// When the emulator refuses: nobody else has it.
    pub(crate) fn back_ram(&self, physical: Pa, length: u64) {
        self.engine()
            .borrow_mut()
            .map_ram(physical, length)
            .expect("fresh RAM can be mapped");
    }

    /// Makes physical memory visible at `start`.
    pub(crate) fn map_physical(&self, start: Va, physical: Pa, length: u64, protection: Protection, what: &str) {
        self.watch().space.borrow_mut().map(Mapping {
            start,
            length: AddressSpace::round_up(length),
            physical,
            protection,
            what: what.to_owned(),
        });
    }

    /// Removes the mapping that starts at `start`; says whether there was one.
    pub(crate) fn unmap(&self, start: Va) -> bool {
        let mapping = self.watch().space.borrow_mut().unmap(start);
        if let Some(mapping) = &mapping {
            self.engine().borrow_mut().flush_translations();
            self.watch()
                .sharing
                .borrow_mut()
                .free(mapping.physical.0..mapping.physical.0 + mapping.length);
        }
        mapping.is_some()
    }
}
