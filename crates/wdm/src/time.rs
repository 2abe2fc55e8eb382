//! The system's clocks.

use core::time::Duration;

use wdk_sys::{LARGE_INTEGER, ntddk::KeQueryPerformanceCounter};

/// How many of the system's units of time, 100 nanoseconds, there are in a second.
const UNITS_PER_SECOND: u64 = 10_000_000;
const UNITS_PER_MILLISECOND: u64 = 10_000;
const NANOSECONDS_PER_UNIT: u32 = 100;

/// A length of time in the system's unit: 100 nanoseconds. What is made of a [`Duration`] once need not be converted each time that it is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(u64);

impl TimeSpan {
    /// So many units.
    #[must_use]
    pub const fn from_units(units: u64) -> Self {
        Self(units)
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u32) -> Self {
        Self(milliseconds as u64 * UNITS_PER_MILLISECOND)
    }

    /// How many units: the difference of two values of [`interrupt_time`] or of [`performance_time`].
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// Whether it is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// As the kernel's timers and waits take it: negative.
    pub(crate) fn relative(self) -> LARGE_INTEGER {
        let units = i64::try_from(self.0).unwrap_or(i64::MAX);
        LARGE_INTEGER { QuadPart: -units }
    }
}

impl From<Duration> for TimeSpan {
    /// Rounded down; as many units as can be counted, if it is longer.
    fn from(time: Duration) -> Self {
        // Not by `as_nanos`: there is no instruction that divides 128 bits.
        let whole = time.as_secs().saturating_mul(UNITS_PER_SECOND);
        Self(whole.saturating_add((time.subsec_nanos() / NANOSECONDS_PER_UNIT).into()))
    }
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
