//! The transfer queue: reads, writes and echoes, by DMA.

mod custom_dpc;
mod dma_buffer;
mod engine;
mod request;
mod watchdog;

pub use dma_buffer::DmaBuffer;
use engine::DmaEngine;
pub use request::transfer_of;

use crate::serial_queue::SerialQueue;

/// Pending transfers. While the device moves a piece whose IRP was cancelled nothing else is started: the common buffer is still in use.
pub type TransferQueue = SerialQueue<DmaEngine>;
