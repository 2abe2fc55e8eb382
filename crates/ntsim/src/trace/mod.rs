//! What happened in a run, in order: events, counters and the digest that identifies the run.

mod counters;
mod event;

pub use counters::{Counter, Counters};
pub use event::{Event, Level};

use std::fmt;

use crate::sched::{ActivityKind, VirtualTime};

/// An event with its circumstances.
#[derive(Clone, Debug)]
pub struct Record {
    /// When, in virtual nanoseconds.
    pub time: VirtualTime,
    /// On which processor; none for what the machine itself does between steps.
    pub processor: Option<usize>,
    /// In which activity.
    pub activity: Option<ActivityKind>,
    /// What.
    pub event: Event,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:03} µs ", self.time / 1000, self.time % 1000)?;
        match self.processor {
            Some(processor) => write!(f, "cpu{processor} ")?,
            None => f.write_str("     ")?,
        }
        match self.activity {
            Some(activity) => write!(f, "{:<9} ", activity.to_string())?,
            None => write!(f, "{:<9} ", "-")?,
        }
        write!(f, "{}", self.event)
    }
}

/// FNV-1a, 64 bits: a digest that is the same on every host and for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        Ok(())
    }
}

/// Identifies the events of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u64);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The record of a run.
#[derive(Debug, Default)]
pub struct Trace {
    records: Vec<Record>,
    all: Fnv,
    order: Fnv,
    /// How often what happened.
    pub counters: Counters,
}

impl Trace {
    pub(crate) fn push(&mut self, record: Record) {
        use fmt::Write as _;
        // Writing to a digest cannot fail.
        let _ = writeln!(self.all, "{record}");
        let _ = writeln!(
            self.order,
            "{:?} {:?} {}",
            record.processor, record.activity, record.event
        );
        self.records.push(record);
    }

    /// Everything, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The digest of every line of the trace, times included: equal for equal seeds.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(self.all.0)
    }

    /// The digest of what happened where and in which order, without times: equal for runs that interleave alike.
    #[must_use]
    pub fn order_digest(&self) -> Digest {
        Digest(self.order.0)
    }

    /// What a person wants to read: the records of the story level.
    pub fn story(&self) -> impl Iterator<Item = &Record> {
        self.records
            .iter()
            .filter(|record| record.event.level() == Level::Story)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: VirtualTime, text: &str) -> Record {
        Record {
            time,
            processor: Some(1),
            activity: None,
            event: Event::Note(text.to_owned()),
        }
    }

    #[test]
    fn the_digest_sees_time_and_the_order_digest_does_not() {
        let (mut a, mut b) = (Trace::default(), Trace::default());
        a.push(record(1, "x"));
        b.push(record(2, "x"));
        assert_ne!(a.digest(), b.digest());
        assert_eq!(a.order_digest(), b.order_digest());
        b.push(record(2, "y"));
        assert_ne!(a.order_digest(), b.order_digest());
    }

    #[test]
    fn fnv_matches_its_published_test_vector() {
        use fmt::Write as _;
        let mut fnv = Fnv::default();
        fnv.write_str("foobar").unwrap();
        assert_eq!(fnv.0, 0x8594_4171_F739_67E8);
    }
}
