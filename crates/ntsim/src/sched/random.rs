//! The seeded source of every decision.

use rand_core::{RngCore, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A stream of decisions that depends on a seed and nothing else. PCG XSL 128/64 (MCG): the stream for a seed is fixed by its
/// definition, so it stays the same for ever.
#[derive(Clone, Debug)]
pub struct Random(Pcg64Mcg);

impl Random {
    /// The stream called `stream` of `seed`. Streams are independent: drawing from one does not move another.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(
            seed.wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        ))
    }

    /// A number below `bound`; 0 when `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index into a list of `length` elements.
    pub fn index(&mut self, length: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "it is below a usize")]
        let index = self.below(length as u64) as usize;
        index
    }
}

/// How one run likes to interleave, drawn from its seed, so that seeds differ in kind and not in detail only: some switch
/// processors after every few instructions, some run long stretches; some deliver interrupts at once, some late.
#[derive(Clone, Copy, Debug)]
pub struct Temperament {
    /// The longest slice, in instructions.
    pub longest_slice: u64,
    /// How often the same processor goes on, in percent.
    pub stickiness: u64,
    /// How often a pending interrupt is taken at a step, in percent.
    pub interrupt_eagerness: u64,
    /// How often a DPC queued to another processor is taken at a step, in percent.
    pub remote_dpc_eagerness: u64,
    /// How often a thread is preempted at a step while others are ready, in percent.
    pub preemption: u64,
}

impl Temperament {
    /// Draws one.
    pub fn draw(random: &mut Random) -> Self {
        let mut pick = |choices: &[u64]| choices[random.index(choices.len())];
        Self {
            longest_slice: pick(&[2, 8, 24, 100, 1000]),
            stickiness: pick(&[20, 50, 80, 95]),
            interrupt_eagerness: pick(&[2, 10, 40, 90]),
            remote_dpc_eagerness: pick(&[5, 30, 90]),
            preemption: pick(&[0, 2, 10, 30]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_stream() {
        let mut random = Random::new(7, 0);
        let drawn: Vec<u64> = (0..4).map(|_| random.below(1_000_000)).collect();
        assert_eq!(drawn, FROZEN);
    }

    /// Drawn once and written down: a replay command printed today has to mean the same run in every later version.
    const FROZEN: [u64; 4] = [689_897, 476_232, 270_741, 930_984];

    #[test]
    fn streams_differ() {
        let (mut a, mut b) = (Random::new(7, 0), Random::new(7, 1));
        assert_ne!(
            (0..4).map(|_| a.below(1 << 40)).collect::<Vec<_>>(),
            (0..4).map(|_| b.below(1 << 40)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn below_stays_below() {
        let mut random = Random::new(1, 2);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert!((0..100).all(|_| (5..=6).contains(&random.between(5, 6))));
    }
}
