//! The requests that the two storeys know; the scenarios and the lower storey include this file.

/// The control code of a buffered request of an unknown device, which any handle may send.
const fn buffered(function: u32) -> u32 {
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    FILE_DEVICE_UNKNOWN << 16 | function << 2
}

/// The upper storey passes it on and forgets it.
pub const FORWARD: u32 = buffered(0x900);
/// The upper storey hears of its completion and lets it go on.
pub const CONTINUE: u32 = buffered(0x901);
/// The upper storey takes it back and completes it at once.
pub const KEEP: u32 = buffered(0x902);
/// The upper storey takes it back and queues it; a DPC completes it.
pub const KEEP_IN_QUEUE: u32 = buffered(0x903);
/// The upper storey queues it; a DPC passes it on and forgets it.
pub const QUEUE_AND_FORWARD: u32 = buffered(0x904);
/// The upper storey queues it; a DPC passes it on and hears of its completion.
pub const QUEUE_AND_CONTINUE: u32 = buffered(0x905);
/// The upper storey takes it back, and sends it down once more, which is refused if it was answered.
pub const SEND_TWICE: u32 = buffered(0x906);
/// The upper storey makes a request of its own of it, and waits.
pub const ASK: u32 = buffered(0x908);
/// The upper storey answers itself: what its completion routines have seen, as two `u32`: successes, then failures.
pub const COUNTS: u32 = buffered(0x907);

/// Input bit: the lower storey answers in a DPC, not in its dispatch routine.
pub const LATER: u32 = 1;
/// Input bit: the lower storey fails the request, with `STATUS_IO_TIMEOUT`.
pub const FAIL: u32 = 2;
/// Input bit: the lower storey does not answer at all.
pub const NEVER: u32 = 4;
/// What the lower storey inverts in the input to make its answer.
pub const ANSWER: u32 = 0x5A5A_5A50;
/// The upper storey answers itself, and lets nobody open the device from then on.
pub const SHUT: u32 = buffered(0x909);
/// The upper storey queues it, and never takes it up.
pub const WAIT: u32 = buffered(0x90A);
/// The upper storey answers itself: how often the drivers below have started the device, as a `u32`.
pub const STARTS: u32 = buffered(0x90B);
/// The upper storey takes it back and queues it, and never takes it up.
pub const KEEP_AND_WAIT: u32 = buffered(0x90C);
