//! `SID`: a security identifier.

/// `Revision`.
pub const REVISION: usize = 0;
/// `SubAuthorityCount`.
pub const SUB_AUTHORITY_COUNT: usize = 1;
/// `IdentifierAuthority`: six bytes, a big-endian number.
pub const IDENTIFIER_AUTHORITY: usize = 2;
/// `SubAuthority`: as many 32-bit numbers as `SubAuthorityCount` says.
pub const SUB_AUTHORITY: usize = 8;
