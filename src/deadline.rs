//! A moment until which something is waited for. IRQL: any.

use core::time::Duration;

use wdm::{interrupt_time, interrupt_time_units};

/// A moment, in the units of [`interrupt_time`]: 100 nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

/// The unit of [`interrupt_time`], in nanoseconds.
const UNIT: u64 = 100;

impl Deadline {
    /// The moment that comes after `time`.
    pub fn after(time: Duration) -> Self {
        Self(interrupt_time().saturating_add(interrupt_time_units(time)))
    }

    /// How long it is until then: 0 when it is over.
    pub fn rest(self) -> Duration {
        let rest = self.0.saturating_sub(interrupt_time());
        Duration::from_nanos(rest.saturating_mul(UNIT))
    }

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        self.rest().is_zero()
    }

    /// As a number, to be kept in an atomic variable.
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// The moment that [`to_raw`](Self::to_raw) has made a number.
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}
