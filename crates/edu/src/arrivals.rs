//! Which interrupt causes have arrived, and when: what the ISR notes and the queues look at.
//!
//! Interrupts can come faster than a DPC runs. So the ISR counts them and keeps, for each cause, the number of the last interrupt that
//! had it: whoever asks later learns exactly what has arrived since, however many interrupts one DPC stands for.

use rundown::SequenceLock;

use crate::registers::InterruptStatus;

/// How many causes there are.
const CAUSES: usize = 32;

/// The index of the time, behind the causes.
const TIME: usize = CAUSES;

/// The interrupts so far. The ISR [notes](Self::note) them; everybody else looks, without a lock.
#[derive(Debug, Default)]
pub struct Arrivals(SequenceLock<{ CAUSES + 1 }>);

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

/// The interrupts up to some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// For each cause, the number of the last interrupt that had it; 0 for none.
    last: [u64; CAUSES],
    time: u64,
}

impl Arrivals {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(SequenceLock::new())
    }

    /// Notes an interrupt with `causes` at `time`. By the ISR, under the interrupt spin lock.
    pub fn note(&self, causes: InterruptStatus, time: u64) {
        self.0.write(|numbers, sequence| {
            numbers.set(TIME, time);
            for bit in bits(causes) {
                numbers.set(bit, sequence);
            }
        });
    }

    /// The number of the last interrupt: [`SequenceLock::writes`] says how it is ordered.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.0.writes()
    }

    /// Whether each of `causes` has arrived after the interrupt with the number `sequence`.
    #[must_use]
    pub fn have_all_come(&self, causes: InterruptStatus, sequence: u64) -> bool {
        self.0.read(|last, _| bits(causes).all(|bit| last.get(bit) > sequence))
    }

    /// The interrupts so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.read(|numbers, _| Snapshot {
            last: core::array::from_fn(|bit| numbers.get(bit)),
            time: numbers.get(TIME),
        })
    }
}

impl Snapshot {
    /// What has arrived of `mask` after the interrupt with the number `sequence`.
    #[must_use]
    pub fn since(&self, mask: InterruptStatus, sequence: u64) -> Option<Arrival> {
        let mut causes = 0;
        let mut newest = 0;
        for bit in bits(mask) {
            let last = self.last.get(bit).copied().unwrap_or_default();
            if last > sequence {
                causes |= 1_u32 << bit;
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

/// The numbers of the bits that are set.
fn bits(causes: InterruptStatus) -> impl Iterator<Item = usize> {
    let mut left = causes.bits();
    core::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        left &= left.checked_sub(1)?;
        Some(bit)
    })
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
        assert_eq!(Arrivals::new().snapshot().since(InterruptStatus::all(), 0), None);
    }

    #[test]
    fn coalesced_interrupts_keep_every_cause() {
        let arrivals = Arrivals::new();
        arrivals.note(causes(0x2), 10);
        arrivals.note(causes(0x8000_0000), 20);
        assert_eq!(
            arrivals.snapshot().since(InterruptStatus::all(), 0),
            Some(Arrival {
                causes: causes(0x8000_0002),
                sequence: 2,
                time: 20
            })
        );
    }

    #[test]
    fn what_came_before_is_not_told_again() {
        let arrivals = Arrivals::new();
        arrivals.note(causes(0x2), 10);
        let since = arrivals.sequence();
        arrivals.note(causes(0x4), 20);
        assert_eq!(arrivals.snapshot().since(causes(0x2), since), None, "it came before");
        assert_eq!(
            arrivals
                .snapshot()
                .since(causes(0x6), since)
                .map(|arrival| arrival.causes),
            Some(causes(0x4))
        );
        arrivals.note(causes(0x2), 30);
        assert_eq!(
            arrivals
                .snapshot()
                .since(causes(0x2), since)
                .map(|arrival| arrival.sequence),
            Some(3)
        );
    }

    #[test]
    fn causes_outside_the_mask_do_not_matter() {
        let arrivals = Arrivals::new();
        arrivals.note(causes(0x101), 10);
        assert_eq!(arrivals.snapshot().since(causes(0x10), 0), None);
    }

    #[test]
    fn all_of_several_causes_have_to_come() {
        let arrivals = Arrivals::new();
        arrivals.note(causes(0x2), 10);
        let since = arrivals.sequence();
        arrivals.note(causes(0x4), 20);
        assert!(!arrivals.have_all_come(causes(0x6), since), "one came before");
        arrivals.note(causes(0x2), 30);
        assert!(arrivals.have_all_come(causes(0x6), since));
        assert!(!arrivals.have_all_come(causes(0x6), arrivals.sequence()));
    }
}
