//! The requests that the driver knows; the scenarios include this file.

/// The control code of a buffered request of an unknown device, which any handle may send.
const fn buffered(function: u32) -> u32 {
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    FILE_DEVICE_UNKNOWN << 16 | function << 2
}

/// Queues a DPC twice at `DISPATCH_LEVEL`, with [`FIRST`] and with [`SECOND`]. The answer is what each call returned, as a `u32`.
pub const QUEUE_TWICE: u32 = buffered(0x900);
/// Queues DPCs of low, medium and high importance at `DISPATCH_LEVEL`, in this order.
pub const QUEUE_BY_IMPORTANCE: u32 = buffered(0x901);
/// Queues the DPC that runs on the second processor.
pub const QUEUE_TO_SECOND: u32 = buffered(0x902);
/// Queues the threaded DPC.
pub const QUEUE_THREADED: u32 = buffered(0x903);
/// Queues a DPC at `DISPATCH_LEVEL` and removes it twice. The answer is what each call returned, as a `u32`.
pub const QUEUE_AND_REMOVE: u32 = buffered(0x904);
/// The answer is which DPCs have run, as [`RUNS`] `u64`: 0 at the end. See [`run`].
pub const TELL: u32 = buffered(0x905);
/// Queues another threaded DPC, which acquires a spin lock as often as the input, a `u32`, says.
pub const QUEUE_SLOW: u32 = buffered(0x906);

/// How many runs are kept.
pub const RUNS: usize = 8;

/// The DPCs.
pub const LOW: u32 = 1;
/// Of medium importance, which is what a DPC has that nothing was set for.
pub const MEDIUM: u32 = 2;
/// Of high importance.
pub const HIGH: u32 = 3;
/// That of the second processor.
pub const ON_SECOND: u32 = 4;
/// The threaded one.
pub const THREADED: u32 = 5;

/// `SystemArgument1`, and the two halves of `SystemArgument2`.
pub type Arguments = (u32, [u16; 2]);

/// Arguments.
pub const FIRST: Arguments = (0x11, [0x22, 0x33]);
/// Others.
pub const SECOND: Arguments = (0x44, [0x55, 0x66]);

/// What is kept of a run.
#[must_use]
pub const fn run(dpc: u32, (argument1, [low, high]): Arguments) -> u64 {
    (dpc as u64) << 48 | (argument1 as u64) << 32 | (high as u64) << 16 | low as u64
}
