//! `DRIVER_EXTENSION`: the part of a driver object that holds `AddDevice`.

/// Size of the structure, in bytes.
pub const SIZE: usize = 40;
/// `DriverObject`.
pub const DRIVER_OBJECT: usize = 0;
/// `AddDevice`.
pub const ADD_DEVICE: usize = 8;
/// `Count`.
pub const COUNT: usize = 16;
/// `ServiceKeyName`.
pub const SERVICE_KEY_NAME: usize = 24;
