//! `CM_PARTIAL_RESOURCE_LIST`: an array of partial resource descriptors with its header.

/// Size of the structure, in bytes.
pub const SIZE: usize = 28;
/// `Version`.
pub const VERSION: usize = 0;
/// `Revision`.
pub const REVISION: usize = 2;
/// `Count`.
pub const COUNT: usize = 4;
/// `PartialDescriptors`.
pub const PARTIAL_DESCRIPTORS: usize = 8;
