//! `SCATTER_GATHER_LIST`: where the parts of a buffer lie for a device.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `NumberOfElements`.
pub const NUMBER_OF_ELEMENTS: usize = 0;
/// `Reserved`.
pub const RESERVED: usize = 8;
/// `Elements`.
pub const ELEMENTS: usize = 16;
