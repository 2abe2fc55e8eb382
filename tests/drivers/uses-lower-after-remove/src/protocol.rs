//! The requests that the driver knows; the scenarios include this file.

/// The control code of a buffered request of an unknown device, which any handle may send.
const fn buffered(function: u32) -> u32 {
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    FILE_DEVICE_UNKNOWN << 16 | function << 2
}

/// Later, a request of the driver's own goes to the driver below.
pub const SEND: u32 = buffered(0x900);
/// At once, one request of the driver's own after the other.
pub const SEND_OFTEN: u32 = buffered(0x901);
/// Later, the device is said to have failed.
pub const REPORT: u32 = buffered(0x902);
/// At once, the device below is sent [`KEEP`].
pub const SEND_KEEP: u32 = buffered(0x903);
/// The request is kept and passed down, later.
pub const KEEP: u32 = buffered(0x904);
/// Nobody knows this one.
pub const UNKNOWN: u32 = buffered(0x9FF);

/// How much later, in milliseconds.
pub const LATER_MS: u64 = 2000;
