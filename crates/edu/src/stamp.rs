//! When an interrupt came: what the ISR hands over to a DPC as `SystemArgument1`.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A time. As wide as a pointer, so that it can be a DPC's argument.
///
/// Of several interrupts for which a DPC runs once it gets the first one's: so it says how long the oldest has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(transparent)]
pub struct InterruptStamp(u64);

impl InterruptStamp {
    /// An interrupt at this time; the unit is the caller's.
    #[must_use]
    pub const fn at(time: u64) -> Self {
        Self(time)
    }

    /// How long ago it was at `now`, in the same units.
    #[must_use]
    pub const fn age(self, now: u64) -> u64 {
        now.saturating_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::InterruptStamp;

    #[test]
    fn an_interrupt_ages() {
        assert_eq!(InterruptStamp::at(100).age(130), 30);
        assert_eq!(InterruptStamp::at(100).age(100), 0);
    }
}
