//! `RTL_BITMAP`: the header of a bitmap.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `SizeOfBitMap`, in bits.
pub const SIZE_OF_BIT_MAP: usize = 0;
/// `Buffer`.
pub const BUFFER: usize = 8;
