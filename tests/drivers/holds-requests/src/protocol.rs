//! The requests that the driver knows; the scenarios include this file.

/// The control code of a buffered request of an unknown device, which any handle may send.
const fn buffered(function: u32) -> u32 {
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    FILE_DEVICE_UNKNOWN << 16 | function << 2
}

/// Waits in a queue, and is never answered.
pub const WAIT: u32 = buffered(0xB00);
/// Every `WAIT` is taken out, held until a handle has been closed, and put into the queue again. Then this one is answered.
pub const HOLD_FOR_THE_QUEUE: u32 = buffered(0xB01);
/// As `HOLD_FOR_THE_QUEUE`, into the queue of the device object.
pub const HOLD_FOR_START_IO: u32 = buffered(0xB02);
/// As `HOLD_FOR_THE_QUEUE`, to the lower driver.
pub const HOLD_FOR_THE_LOWER_DRIVER: u32 = buffered(0xB03);
/// The dispatch routine writes `ANSWER`, and puts this one into the queue of the device object. StartIo ends it.
pub const ANSWER_BY_START_IO: u32 = buffered(0xB04);
/// The dispatch routine holds this one itself until a handle has been closed, then it waits like `WAIT`.
pub const HOLD_ITSELF: u32 = buffered(0xB05);

/// The output of `ANSWER_BY_START_IO`.
pub const ANSWER: u32 = 7;
