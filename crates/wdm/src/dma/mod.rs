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
//! # When it is given back
//!
//! By the safe layer alone. Memory that is freed too early is written to by the device when it belongs to somebody else; an adapter that is put too
//! late is one that its device's bus driver does not know any more. The documentation wants both given back
//! [when the device is stopped](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nc-wdm-pput_dma_adapter), after DMA is complete, and what
//! belongs to the hardware
//! [before `IRP_MN_REMOVE_DEVICE` goes down](https://learn.microsoft.com/windows-hardware/drivers/kernel/removing-a-device-in-a-function-driver). So the driver
//! is asked, when it has let go of the device, whether DMA is complete ([`dma_is_idle`](crate::DeviceExtension::dma_is_idle)):
//!
//! - If it is, memory and adapter are given back before the request goes down.
//! - If it is not, or nobody knows, they are when the lower drivers have handled the request: the bus driver has taken the bus from the device by
//!   then, whatever that was doing.
//!
//! # What is left to the driver
//!
//! What the safe layer cannot know is what a device does. Whoever tells it an address, by a register, makes it write there, and whoever says that it is
//! idle has the memory freed: the driver's code for these two is as critical as any `unsafe` block.

mod adapter;
mod common_buffer;
mod description;

pub(crate) use common_buffer::Buffer;
pub use common_buffer::{CommonBuffer, LogicalAddress};
pub use description::DeviceDescription;
