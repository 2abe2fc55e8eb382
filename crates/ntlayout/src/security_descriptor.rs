//! `SECURITY_DESCRIPTOR`: the absolute form, whose parts are elsewhere.

/// Size of the structure, in bytes.
pub const SIZE: usize = 40;
/// `Revision`.
pub const REVISION: usize = 0;
/// `Control`.
pub const CONTROL: usize = 2;
/// `Owner`.
pub const OWNER: usize = 8;
/// `Group`.
pub const GROUP: usize = 16;
/// `Sacl`.
pub const SACL: usize = 24;
/// `Dacl`.
pub const DACL: usize = 32;
