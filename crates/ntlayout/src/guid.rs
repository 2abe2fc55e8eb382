//! `GUID`: a globally unique identifier.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Data1`.
pub const DATA1: usize = 0;
/// `Data2`.
pub const DATA2: usize = 4;
/// `Data3`.
pub const DATA3: usize = 6;
/// `Data4`.
pub const DATA4: usize = 8;
