//! DMA: memory that a device reads and writes by itself.
//!
//! A driver never hands a physical address to its device: what a device can reach, and by which address, is the system's to say. It asks
//! for a DMA adapter (`IoGetDmaAdapter`), which knows how wide the device's addresses are, and gets memory through it, with the
//! [`LogicalAddress`] that the device is to use.
//!
//! [`CommonBuffer`] is memory for good, shared by processor and device: for devices that cannot scatter, gather, or reach all of
//! memory. What a program sends or wants is copied ([`Irp::copy_input_to`](crate::Irp::copy_input_to),
//! [`Irp::append_output_from`](crate::Irp::append_output_from)).
//!
//! What the safe layer cannot know is what a device does. Whoever tells it an address, by a register, makes it write there: the driver's code
//! for that is as critical as any `unsafe` block.

mod adapter;
mod common_buffer;
mod description;

pub use common_buffer::{CommonBuffer, LogicalAddress};
pub use description::DeviceDescription;
