//! `MDL`: a memory descriptor list: the pages of a buffer.

/// Size of the structure, in bytes.
pub const SIZE: usize = 48;
/// `Next`.
pub const NEXT: usize = 0;
/// `Size`.
pub const SIZE_FIELD: usize = 8;
/// `MdlFlags`.
pub const MDL_FLAGS: usize = 10;
/// `Process`.
pub const PROCESS: usize = 16;
/// `MappedSystemVa`.
pub const MAPPED_SYSTEM_VA: usize = 24;
/// `StartVa`.
pub const START_VA: usize = 32;
/// `ByteCount`.
pub const BYTE_COUNT: usize = 40;
/// `ByteOffset`.
pub const BYTE_OFFSET: usize = 44;
