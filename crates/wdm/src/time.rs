//! The system's clocks.

use core::time::Duration;

use wdk_sys::{LARGE_INTEGER, ntddk::KeQueryPerformanceCounter};

/// How many of the system's units of time, 100 nanoseconds, there are in a second.
const UNITS_PER_SECOND: u64 = 10_000_000;
const NANOSECONDS_PER_UNIT: u32 = 100;

/// A length of time in units of 100 nanoseconds, as [`interrupt_time`] and [`performance_time`] count; the greatest number, if it has more.
#[must_use]
pub const fn interrupt_time_units(time: Duration) -> u64 {
    // Not by `as_nanos`: there is no instruction that divides 128 bits.
    let whole = time.as_secs().saturating_mul(UNITS_PER_SECOND);
    whole.saturating_add((time.subsec_nanos() / NANOSECONDS_PER_UNIT) as u64)
}

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
    let mut frequency = LARGE_INTEGER::default();
    // SAFETY: the pointer is to a local of the right type.
    let ticks = unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: every bit pattern is a number.
    let ticks = unsafe { ticks.QuadPart }.cast_unsigned();
    // SAFETY: as above.
    let frequency = unsafe { frequency.QuadPart }.cast_unsigned();
    // The usual case, since Windows 10.
    if frequency == UNITS_PER_SECOND {
        return ticks;
    }
    let seconds = ticks.checked_div(frequency).unwrap_or_default();
    let rest = ticks.checked_rem(frequency).unwrap_or_default();
    let rest = rest.saturating_mul(UNITS_PER_SECOND).checked_div(frequency);
    seconds
        .saturating_mul(UNITS_PER_SECOND)
        .saturating_add(rest.unwrap_or_default())
}
