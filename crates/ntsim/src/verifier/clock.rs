//! Vector clocks over the processors.

/// The most processors a machine can have.
pub const MAX_PROCESSORS: usize = 8;

/// For each processor, up to which of its steps everything is known to have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct VectorClock([u32; MAX_PROCESSORS]);

impl VectorClock {
    /// Up to which step of `processor` everything is known.
    pub(super) const fn of(&self, processor: usize) -> u32 {
        self.0[processor]
    }

    /// Begins the next step of `processor`.
    pub(super) const fn advance(&mut self, processor: usize) {
        self.0[processor] += 1;
    }

    /// Learns all that `other` knows.
    pub(super) fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = (*mine).max(theirs);
        }
    }

    /// This clock without the current step of `processor`.
    pub(super) const fn before(mut self, processor: usize) -> Self {
        self.0[processor] = self.0[processor].saturating_sub(1);
        self
    }
}
