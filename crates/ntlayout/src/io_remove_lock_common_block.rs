//! `IO_REMOVE_LOCK_COMMON_BLOCK`: what free and checked builds of a remove lock share.

/// Size of the structure, in bytes.
pub const SIZE: usize = 32;
/// `Removed`.
pub const REMOVED: usize = 0;
/// `Reserved`.
pub const RESERVED: usize = 1;
/// `IoCount`.
pub const IO_COUNT: usize = 4;
/// `RemoveEvent`.
pub const REMOVE_EVENT: usize = 8;
