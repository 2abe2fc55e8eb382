//! Memory as devices reach it.

use crate::{
    bus::{Ram, Slot, Translated, iommu::Transfer},
    kernel::Kernel,
    mm::{
        PAGE_SIZE, Pa, layout, physical,
        pool::{POOL_BASE, PoolFault},
    },
    trace::{Counter, Event},
};

/// The machine's memory, for its devices.
pub(crate) struct DeviceMemory<'k>(pub(crate) &'k Kernel);

impl DeviceMemory<'_> {
    /// Memory that is mapped for a device must be neither freed nor unlocked before it is unmapped.
    fn check(&self, physical: Pa, length: u64) -> Result<(), String> {
        let watch = self.0.watch();
        let user = watch.user.borrow();
        let frames = physical.0 / PAGE_SIZE..physical.0.saturating_add(length).div_ceil(PAGE_SIZE);
        if frames.into_iter().any(|frame| user.is_unlocked(Pa(frame * PAGE_SIZE))) {
            return Err("the memory there is a program's, and was unlocked while it was mapped".to_owned());
        }
        let offset = physical - layout::POOL_PHYSICAL;
        if offset >= layout::POOL_LENGTH {
            return physical::check_device(self.0, physical, length);
        }
        let va = POOL_BASE + offset;
        let checked = watch.pool.borrow().check(va, length, true);
        checked.map_err(|fault| match fault {
            PoolFault::Freed(block) => format!(
                "the memory there, {} bytes at {}, was freed while it was mapped",
                block.size, block.start
            ),
            _ => format!("the memory there, at {va}, belongs to nobody"),
        })
    }

    /// Reads memory for a device.
    ///
    /// # Errors
    /// When nobody owns the memory any more; in words.
    pub(super) fn load(&self, slot: Slot, from: Pa, buffer: &mut [u8]) -> Result<(), String> {
        let length = buffer.len() as u64;
        self.check(from, length)?;
        let bytes = from.0..from.0.saturating_add(length);
        let sharing = &self.0.watch().sharing;
        sharing.borrow_mut().device_read(slot.0.into(), &bytes);
        self.0.engine().borrow().read(from, buffer);
        Ok(())
    }

    /// Writes memory for a device.
    ///
    /// # Errors
    /// When nobody owns the memory any more; in words.
    pub(super) fn store(&self, slot: Slot, to: Pa, bytes: &[u8]) -> Result<(), String> {
        let length = bytes.len() as u64;
        self.check(to, length)?;
        let range = to.0..to.0.saturating_add(length);
        let sharing = &self.0.watch().sharing;
        sharing.borrow_mut().device_write(slot.0.into(), &range);
        self.0.engine().borrow_mut().write(to, bytes);
        Ok(())
    }

    fn note(&self, access: Translated, transfer: Transfer, length: u64) {
        self.0.count(match transfer {
            Transfer::Read => Counter::DmaReads,
            Transfer::Write => Counter::DmaWrites,
        });
        self.0.trace(Event::DmaDone {
            slot: access.slot.0,
            transfer,
            address: access.logical,
            length,
        });
    }
}

impl Ram for DeviceMemory<'_> {
    fn read(&mut self, from: Translated, buffer: &mut [u8]) -> Result<(), String> {
        self.load(from.slot, Pa(from.physical), buffer)?;
        self.note(from, Transfer::Read, buffer.len() as u64);
        Ok(())
    }

    fn write(&mut self, to: Translated, bytes: &[u8]) -> Result<(), String> {
        self.store(to.slot, Pa(to.physical), bytes)?;
        self.note(to, Transfer::Write, bytes.len() as u64);
        Ok(())
    }
}
