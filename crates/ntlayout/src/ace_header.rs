//! `ACE_HEADER`, and behind it an access mask and a SID, as in `ACCESS_ALLOWED_ACE`.

/// Size of the header, in bytes.
pub const SIZE: usize = 4;
/// `AceType`.
pub const ACE_TYPE: usize = 0;
/// `AceFlags`.
pub const ACE_FLAGS: usize = 1;
/// `AceSize`.
pub const ACE_SIZE: usize = 2;
/// `Mask` of the structures that begin with the header.
pub const MASK: usize = 4;
/// `SidStart`.
pub const SID_START: usize = 8;
