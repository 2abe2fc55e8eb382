//! `UNICODE_STRING`: a counted UTF-16 string; its lengths are in bytes.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Length`.
pub const LENGTH: usize = 0;
/// `MaximumLength`.
pub const MAXIMUM_LENGTH: usize = 2;
/// `Buffer`.
pub const BUFFER: usize = 8;
