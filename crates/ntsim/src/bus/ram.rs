//! Memory behind the bus, and a device's way to it.

use super::{
    Slot,
    device::BusMaster,
    iommu::{DmaFault, DmaFaultKind, Iommu, Transfer},
};

/// An access of a device to memory that the [`Iommu`] lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translated {
    /// The device.
    pub slot: Slot,
    /// The address that it used.
    pub logical: u64,
    /// Where that is.
    pub physical: u64,
}

/// Memory, by physical address.
pub trait Ram {
    /// A device reads.
    ///
    /// # Errors
    /// When nobody owns the memory any more; in words.
    fn read(&mut self, from: Translated, buffer: &mut [u8]) -> Result<(), String>;

    /// A device writes.
    ///
    /// # Errors
    /// When nobody owns the memory any more; in words.
    fn write(&mut self, to: Translated, bytes: &[u8]) -> Result<(), String>;
}

/// What becomes of a device's accesses to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mastering {
    /// They go through.
    On,
    /// The device was stopped, and with it whoever told it to access memory: that is an error.
    Off,
    /// The device was cut off while it may have been at work. Writes are lost, and reads give ones.
    Blocked,
}

/// A device's way to memory.
pub(super) struct Master<'m> {
    pub slot: Slot,
    pub mastering: Mastering,
    pub iommu: &'m Iommu,
    pub ram: &'m mut dyn Ram,
}

impl Master<'_> {
    /// Where an access goes; none when it is blocked.
    fn translate(&self, access: Access) -> Result<Option<Translated>, DmaFault> {
        match self.mastering {
            Mastering::Blocked => Ok(None),
            Mastering::Off => Err(access.fault(DmaFaultKind::NotMaster)),
            Mastering::On => {
                let Access { slot, logical, .. } = access;
                let physical = self.iommu.translate(slot, access.transfer, logical, access.length)?;
                Ok(Some(Translated {
                    slot,
                    logical,
                    physical,
                }))
            }
        }
    }
}

/// An access as the device makes it.
#[derive(Clone, Copy)]
struct Access {
    slot: Slot,
    transfer: Transfer,
    logical: u64,
    length: u64,
}

impl Access {
    fn fault(self, kind: DmaFaultKind) -> DmaFault {
        DmaFault {
            slot: self.slot,
            transfer: self.transfer,
            address: self.logical,
            length: self.length,
            kind,
        }
    }
}

impl BusMaster for Master<'_> {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), DmaFault> {
        let access = Access {
            slot: self.slot,
            transfer: Transfer::Read,
            logical: address,
            length: buffer.len() as u64,
        };
        let Some(from) = self.translate(access)? else {
            buffer.fill(0xFF);
            return Ok(());
        };
        let read = self.ram.read(from, buffer);
        read.map_err(|why| access.fault(DmaFaultKind::Memory(why)))
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        let access = Access {
            slot: self.slot,
            transfer: Transfer::Write,
            logical: address,
            length: bytes.len() as u64,
        };
        let Some(to) = self.translate(access)? else {
            return Ok(());
        };
        let written = self.ram.write(to, bytes);
        written.map_err(|why| access.fault(DmaFaultKind::Memory(why)))
    }
}
