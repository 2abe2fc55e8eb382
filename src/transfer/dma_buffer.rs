//! The memory that the device moves bytes to and from. IRQL: PASSIVE to acquire it, else at most DISPATCH.

use edu::{
    dma::{ADDRESS_MASK, BUFFER_USABLE},
    transfer::{Direction, Piece},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CommonBuffer, DeviceDescription, DeviceInit, Error, Irp, Irql, LogicalAddress, Resources, Result, irql::Passive,
};

use crate::device::EduDevice;

/// How many bytes: the longest piece.
#[expect(clippy::cast_possible_truncation, reason = "a page at most")]
const LENGTH: u32 = BUFFER_USABLE as u32;

/// What the system is told about the device: it drives 28 address bits, and takes one piece at a time.
#[expect(clippy::cast_possible_truncation, reason = "a number of bits")]
const DESCRIPTION: DeviceDescription = DeviceDescription {
    address_width: ADDRESS_MASK.count_ones() as u8,
    maximum_length: LENGTH,
    scatter_gather: false,
};

/// One common buffer, as long as the longest piece. The piece that is under way lies at its beginning.
#[pin_data]
pub struct DmaBuffer {
    #[pin]
    memory: CommonBuffer,
}

impl DmaBuffer {
    /// Without memory.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self { memory <- CommonBuffer::new(device) }? Error)
    }

    /// Allocates the memory, of a device that does no DMA. Its address must be one that the device can drive: it would leave out the upper bits, and write
    /// to memory that is somebody else's.
    pub fn acquire(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let first = self.memory.allocate(resources, DESCRIPTION, LENGTH, irql)?;
        let last = first.get().checked_add(u64::from(LENGTH - 1));
        if last.is_none_or(|last| last > ADDRESS_MASK) {
            return Err(Error::INSUFFICIENT_RESOURCES);
        }
        Ok(())
    }

    /// Where the device finds it.
    pub fn address(&self) -> Option<LogicalAddress> {
        self.memory.logical_address()
    }

    /// Before a piece: the bytes that are to go to the device are copied there.
    pub fn load(&self, irp: &Irp<'_>, piece: Piece) -> Result<()> {
        match piece.direction {
            Direction::ToDevice => irp.copy_input_to(piece.data_offset, &self.memory, 0, piece.length),
            Direction::ToMemory => Ok(()),
        }
    }

    /// After a piece: the bytes that have come from the device are appended to the output.
    pub fn unload(&self, irp: &mut Irp<'_>, piece: Piece) -> Result<()> {
        match piece.direction {
            Direction::ToDevice => Ok(()),
            Direction::ToMemory => irp.append_output_from(&self.memory, 0, piece.length),
        }
    }
}
