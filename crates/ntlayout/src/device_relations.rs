//! `DEVICE_RELATIONS`: a list of related device objects.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Count`.
pub const COUNT: usize = 0;
/// `Objects`.
pub const OBJECTS: usize = 8;
