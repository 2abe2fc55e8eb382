//! `SLIST_HEADER`: the head of a sequenced singly linked list.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `HeaderX64.Depth`, the low 16 bits; `HeaderX64.Sequence`, the rest.
pub const DEPTH_AND_SEQUENCE: usize = 0;
/// `HeaderX64.NextEntry`; the low four bits are `HeaderX64.Reserved`.
pub const NEXT_ENTRY: usize = 8;
