//! The transfer queue: reads, writes and echoes, by DMA.

mod custom_dpc;
mod dma_buffer;
mod queue;
mod request;

pub use queue::TransferQueue;
pub use request::transfer_of;
