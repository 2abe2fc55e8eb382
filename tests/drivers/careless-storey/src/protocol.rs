//! The request that the driver does not pass down; the scenarios include this file.

/// From now on CREATE is passed down. A buffered request of an unknown device, which any handle may send.
pub const OPEN_BELOW: u32 = 0x22 << 16 | 0xA05 << 2;
