//! `ACL`: the header of an access control list, before its entries.

/// Size of the structure, in bytes.
pub const SIZE: usize = 8;
/// `AclRevision`.
pub const ACL_REVISION: usize = 0;
/// `AclSize`: the header, the entries, and the room for more.
pub const ACL_SIZE: usize = 2;
/// `AceCount`.
pub const ACE_COUNT: usize = 4;
