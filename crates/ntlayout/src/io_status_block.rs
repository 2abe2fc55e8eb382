//! `IO_STATUS_BLOCK`: how a request ended.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Status`.
pub const STATUS: usize = 0;
/// `Information`.
pub const INFORMATION: usize = 8;
