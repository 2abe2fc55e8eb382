//! What the DMA engine can reach.
//!
//! A transfer moves bytes between memory and a buffer inside the device, in one direction or the other
//! ([`DmaCommand`](crate::registers::DmaCommand)). Whatever its length, it finishes 100 ms after it starts and cannot be aborted.

/// Device address of the buffer's first byte.
pub const BUFFER_ADDRESS: u64 = 0x4_0000;

/// Size of the buffer, in bytes.
pub const BUFFER_SIZE: usize = 4096;

/// How many bytes of the buffer, counted from its start, a transfer may touch: all but the last one.
///
/// QEMU 7.2 aborts on a range that ends at the end of the buffer; later versions log it and do nothing.
pub const BUFFER_USABLE: usize = BUFFER_SIZE - 1;

/// The bits of a memory address that the device drives unless QEMU's `dma_mask=` says otherwise: 28 of them.
pub const ADDRESS_MASK: u64 = 0x0FFF_FFFF;
