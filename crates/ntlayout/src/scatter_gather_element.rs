//! `SCATTER_GATHER_ELEMENT`: one contiguous part of a buffer, as a device sees it.

/// Size of the structure, in bytes.
pub const SIZE: usize = 24;
/// `Address`.
pub const ADDRESS: usize = 0;
/// `Length`.
pub const LENGTH: usize = 8;
/// `Reserved`.
pub const RESERVED: usize = 16;
