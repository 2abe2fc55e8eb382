//! `GROUP_AFFINITY`: processors of one processor group.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Mask`.
pub const MASK: usize = 0;
/// `Group`.
pub const GROUP: usize = 8;
