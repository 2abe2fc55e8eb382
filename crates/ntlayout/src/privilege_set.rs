//! `PRIVILEGE_SET`: privileges that are asked for.

/// `PrivilegeCount`.
pub const PRIVILEGE_COUNT: usize = 0;
/// `Control`.
pub const CONTROL: usize = 4;
/// `Privilege`: as many `LUID_AND_ATTRIBUTES` as `PrivilegeCount` says.
pub const PRIVILEGE: usize = 8;
/// Size of a `LUID_AND_ATTRIBUTES`, in bytes.
pub const LUID_AND_ATTRIBUTES_SIZE: usize = 12;
/// `Attributes` in it, behind the LUID.
pub const ATTRIBUTES: usize = 8;
