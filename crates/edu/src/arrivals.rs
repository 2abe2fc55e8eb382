//! Which interrupt causes have arrived, and when: what the ISR notes and the doorbell queue looks at.
//!
//! Interrupts can come faster than a DPC runs. So the ISR counts them and keeps, for each cause, the number of the last interrupt that
//! had it: whoever asks later learns exactly what has arrived since, however many interrupts one DPC stands for.

use crate::registers::InterruptStatus;

/// How many causes there are.
const CAUSES: usize = 32;

/// The interrupts so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// How many interrupts there were: the number of the last one.
    sequence: u64,
    /// For each cause, the number of the last interrupt that had it; 0 for none.
    last: [u64; CAUSES],
    /// When the last interrupt came.
    time: u64,
}

/// What has arrived for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The causes, of those asked for.
    pub causes: InterruptStatus,
    /// The number of the last interrupt that had one of them.
    pub sequence: u64,
    /// When the last interrupt came, whatever its causes; the unit is the caller's.
    pub time: u64,
}

impl Arrivals {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sequence: 0,
            last: [0; CAUSES],
            time: 0,
        }
    }

    /// The number of the last interrupt.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Notes an interrupt with `causes` at `time`.
    pub fn note(&mut self, causes: InterruptStatus, time: u64) {
        self.sequence += 1;
        self.time = time;
        let mut left = causes.bits();
        for last in &mut self.last {
            if left & 1 != 0 {
                *last = self.sequence;
            }
            left >>= 1;
            if left == 0 {
                break;
            }
        }
    }

    /// What has arrived of `mask` after the interrupt with the number `sequence`.
    #[must_use]
    pub fn since(&self, mask: InterruptStatus, sequence: u64) -> Option<Arrival> {
        let mut causes = 0;
        let mut newest = 0;
        for (bit, &last) in self.last.iter().enumerate() {
            let cause = 1_u32 << bit;
            if mask.bits() & cause != 0 && last > sequence {
                causes |= cause;
                newest = newest.max(last);
            }
        }
        (causes != 0).then_some(Arrival {
            causes: InterruptStatus::from_bits_retain(causes),
            sequence: newest,
            time: self.time,
        })
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Arrivals};
    use crate::registers::InterruptStatus;

    fn causes(bits: u32) -> InterruptStatus {
        InterruptStatus::from_bits_retain(bits)
    }

    #[test]
    fn nothing_has_arrived_at_first() {
        assert_eq!(Arrivals::new().since(InterruptStatus::all(), 0), None);
    }

    #[test]
    fn coalesced_interrupts_keep_every_cause() {
        let mut arrivals = Arrivals::new();
        arrivals.note(causes(0x2), 10);
        arrivals.note(causes(0x8000_0000), 20);
        assert_eq!(
            arrivals.since(InterruptStatus::all(), 0),
            Some(Arrival {
                causes: causes(0x8000_0002),
                sequence: 2,
                time: 20
            })
        );
    }

    #[test]
    fn what_came_before_is_not_told_again() {
        let mut arrivals = Arrivals::new();
        arrivals.note(causes(0x2), 10);
        let since = arrivals.sequence();
        arrivals.note(causes(0x4), 20);
        assert_eq!(arrivals.since(causes(0x2), since), None, "it came before");
        assert_eq!(
            arrivals.since(causes(0x6), since).map(|arrival| arrival.causes),
            Some(causes(0x4))
        );
        arrivals.note(causes(0x2), 30);
        assert_eq!(
            arrivals.since(causes(0x2), since).map(|arrival| arrival.sequence),
            Some(3)
        );
    }

    #[test]
    fn causes_outside_the_mask_do_not_matter() {
        let mut arrivals = Arrivals::new();
        arrivals.note(causes(0x101), 10);
        assert_eq!(arrivals.since(causes(0x10), 0), None);
    }
}
