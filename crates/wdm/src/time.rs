//! The system's clocks.

use wdk_sys::{LARGE_INTEGER, ntddk::KeQueryPerformanceCounter};

/// Where the system keeps `KUSER_SHARED_DATA` in every x64 kernel, and `InterruptTime` in it.
const INTERRUPT_TIME: usize = 0xFFFF_F780_0000_0008;

/// How long the system has run, in units of 100 nanoseconds, as of the last clock tick. Any IRQL.
///
/// DDI: `KeQueryInterruptTime`, which on x64 is an inline function that reads the page the system shares with everybody.
#[must_use]
pub fn interrupt_time() -> u64 {
    let time = core::ptr::with_exposed_provenance::<u64>(INTERRUPT_TIME);
    // SAFETY: the page is mapped, readable and never moved while the system runs; an aligned load of 8 bytes is not torn.
    unsafe { time.read_volatile() }
}

/// A time in units of 100 nanoseconds that goes on while the system runs, finer than a microsecond: for what lies between two events that are
/// closer than a clock tick. It is the same clock on every processor. Any IRQL, an ISR's too.
///
/// DDI: `KeQueryPerformanceCounter`, whose ticks are converted by the frequency that it tells.
#[must_use]
pub fn performance_time() -> u64 {
    const UNITS_PER_SECOND: u64 = 10_000_000;
    let mut frequency = LARGE_INTEGER::default();
    // SAFETY: the pointer is to a local of the right type.
    let ticks = unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: every bit pattern is a number.
    let ticks = unsafe { ticks.QuadPart }.cast_unsigned();
    // SAFETY: as above.
    let frequency = unsafe { frequency.QuadPart }.cast_unsigned();
    let seconds = ticks.checked_div(frequency).unwrap_or_default();
    let rest = ticks.checked_rem(frequency).unwrap_or_default();
    let rest = rest.saturating_mul(UNITS_PER_SECOND).checked_div(frequency);
    seconds
        .saturating_mul(UNITS_PER_SECOND)
        .saturating_add(rest.unwrap_or_default())
}
