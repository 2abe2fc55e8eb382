//! `PNP_BUS_INFORMATION`: which bus a device is on.

/// Size of the structure, in bytes.
pub const SIZE: usize = 24;
/// `BusTypeGuid`.
pub const BUS_TYPE_GUID: usize = 0;
/// `LegacyBusType`.
pub const LEGACY_BUS_TYPE: usize = 16;
/// `BusNumber`.
pub const BUS_NUMBER: usize = 20;
