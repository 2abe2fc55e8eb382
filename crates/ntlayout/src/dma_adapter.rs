//! `DMA_ADAPTER`: what a driver gets from `IoGetDmaAdapter`.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Version`.
pub const VERSION: usize = 0;
/// `Size`.
pub const SIZE_FIELD: usize = 2;
/// `DmaOperations`.
pub const DMA_OPERATIONS: usize = 8;
