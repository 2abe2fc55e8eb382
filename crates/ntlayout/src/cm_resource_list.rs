//! `CM_RESOURCE_LIST`: the resources of a device, per bus.

/// Size of the structure, in bytes.
pub const SIZE: usize = 40;
/// `Count`.
pub const COUNT: usize = 0;
/// `List`.
pub const LIST: usize = 4;
