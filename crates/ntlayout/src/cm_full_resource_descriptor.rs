//! `CM_FULL_RESOURCE_DESCRIPTOR`: the resources on one bus.

/// Size of the structure, in bytes.
pub const SIZE: usize = 36;
/// `InterfaceType`.
pub const INTERFACE_TYPE: usize = 0;
/// `BusNumber`.
pub const BUS_NUMBER: usize = 4;
/// `PartialResourceList`.
pub const PARTIAL_RESOURCE_LIST: usize = 8;
