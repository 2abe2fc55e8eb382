//! `LIST_ENTRY`: a link of a doubly linked list.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Flink`.
pub const FLINK: usize = 0;
/// `Blink`.
pub const BLINK: usize = 8;
