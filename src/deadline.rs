//! A moment until which something is waited for. IRQL: any.

use wdm::{TimeSpan, interrupt_time};

/// A moment, as [`interrupt_time`] tells it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// The moment that comes after `time`.
    pub fn after(time: TimeSpan) -> Self {
        Self(interrupt_time().saturating_add(time.units()))
    }

    /// How long it is until then: 0 when it is over.
    pub fn rest(self) -> TimeSpan {
        TimeSpan::from_units(self.0.saturating_sub(interrupt_time()))
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
