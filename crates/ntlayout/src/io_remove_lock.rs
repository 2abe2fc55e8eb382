//! `IO_REMOVE_LOCK`: a remove lock in a free build: its common block alone.

/// Size of the structure, in bytes.
pub const SIZE: usize = 32;
/// `Common`.
pub const COMMON: usize = 0;
