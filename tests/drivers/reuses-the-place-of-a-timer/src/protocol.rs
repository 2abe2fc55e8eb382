//! The requests that the driver knows; the scenarios include this file.

/// The control code of a buffered request of an unknown device, which any handle may send.
const fn buffered(function: u32) -> u32 {
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    FILE_DEVICE_UNKNOWN << 16 | function << 2
}

/// The timer is set, dropped, and what it was overwritten.
pub const SET_AND_DROP: u32 = buffered(0x900);
/// How often the timer's DPC has run, as a `u32`.
pub const TICKS: u32 = buffered(0x901);

/// When the timer's time is up, in milliseconds.
pub const TIME_MS: u64 = 20;
