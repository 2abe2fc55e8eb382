//! `DEVICE_CAPABILITIES`: what a bus driver reports of a device.

/// Size of the structure, in bytes.
pub const SIZE: usize = 64;
/// `Size`.
pub const SIZE_FIELD: usize = 0;
/// `Version`.
pub const VERSION: usize = 2;
/// `Address`.
pub const ADDRESS: usize = 8;
/// `UINumber`.
pub const UI_NUMBER: usize = 12;
/// `DeviceState`.
pub const DEVICE_STATE: usize = 16;
/// `SystemWake`.
pub const SYSTEM_WAKE: usize = 44;
/// `DeviceWake`.
pub const DEVICE_WAKE: usize = 48;
/// `D1Latency`.
pub const D1_LATENCY: usize = 52;
/// `D2Latency`.
pub const D2_LATENCY: usize = 56;
/// `D3Latency`.
pub const D3_LATENCY: usize = 60;
