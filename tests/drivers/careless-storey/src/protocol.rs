//! The requests that the driver does not pass down; the scenarios include this file. They are buffered requests of an unknown device, which any handle
//! may send.

/// From now on CREATE is passed down.
pub const OPEN_BELOW: u32 = 0x22 << 16 | 0xA05 << 2;
/// What the driver below answers to `SEEN` as a request that only drivers send.
pub const ASK_INTERNALLY: u32 = 0x22 << 16 | 0xA06 << 2;
