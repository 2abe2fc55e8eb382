//! `SECURITY_DESCRIPTOR_RELATIVE`: the form whose parts lie behind it, at the offsets in its fields.

/// Size of the structure, in bytes.
pub const SIZE: usize = 20;
/// `Owner`.
pub const OWNER: usize = 4;
/// `Group`.
pub const GROUP: usize = 8;
/// `Sacl`.
pub const SACL: usize = 12;
/// `Dacl`.
pub const DACL: usize = 16;
