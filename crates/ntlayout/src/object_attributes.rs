//! `OBJECT_ATTRIBUTES`: which object a routine is to open, and how.

/// Size of the structure, in bytes.
pub const SIZE: usize = 48;
/// `Length`.
pub const LENGTH: usize = 0;
/// `RootDirectory`.
pub const ROOT_DIRECTORY: usize = 8;
/// `ObjectName`.
pub const OBJECT_NAME: usize = 16;
/// `Attributes`.
pub const ATTRIBUTES: usize = 24;
