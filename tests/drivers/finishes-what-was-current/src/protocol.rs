//! The requests that the driver knows; the scenarios include this file.

/// The control code of a buffered request of an unknown device, which any handle may send.
const fn buffered(function: u32) -> u32 {
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    FILE_DEVICE_UNKNOWN << 16 | function << 2
}

/// Raises the interrupt causes that the input, a `u32`, names; ends when the device has interrupted. The answer is two `u32`: the causes that the request
/// names, and those of the request that the DPC wanted to finish.
pub const RAISE: u32 = buffered(0x900);
/// The answer is how often each [outcome](WON) has come, as [`OUTCOMES`] `u32`.
pub const TELL: u32 = buffered(0x901);

/// The DPC has finished the request that was current when it was asked for.
pub const WON: usize = 0;
/// That request was not current any more.
pub const LOST: usize = 1;
/// That request was not current any more, and a later interrupt had asked for the DPC as well, which was queued already.
pub const LOST_COALESCED: usize = 2;
/// How many outcomes there are.
pub const OUTCOMES: usize = 3;
