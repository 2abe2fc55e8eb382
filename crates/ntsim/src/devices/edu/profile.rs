//! What machines leave open about an `edu`, and the choices that are made here.

use std::ops::RangeInclusive;

use crate::bus::BusContext;

/// How long one multiplication of a factorial takes, nanoseconds.
const MULTIPLICATION: u64 = 1;

/// What becomes of an access that no register takes (narrow, unaligned, too wide), and of DMA to an address that the device cannot drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mistakes {
    /// It ends the run.
    #[default]
    Stop,
    /// What QEMU makes of it: the memory core cuts an access into aligned pieces, of which narrow ones read as 0; of an address, the bits that
    /// the device cannot drive are dropped.
    Forgive,
}

/// What a reset leaves of the device's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// Nothing: it is as after power-on.
    #[default]
    Clears,
    /// All but the level of its interrupt pin, which falls: QEMU's edu has no reset of its own. What it computes or transfers goes on.
    Keeps,
}

/// The choices that a machine makes about an `edu`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EduProfile {
    /// How long until a factorial's result is stored, beside what its multiplications take; nanoseconds.
    pub factorial_latency: RangeInclusive<u64>,
    /// How long from the stored result to the fall of the COMPUTING bit, and from there to the interrupt; nanoseconds.
    pub step_latency: RangeInclusive<u64>,
    /// The address bits that DMA drives.
    pub dma_mask: u64,
    /// What becomes of a driver's mistakes that QEMU forgives.
    pub mistakes: Mistakes,
    /// What a reset leaves.
    pub reset: Reset,
}

impl EduProfile {
    /// The profile in which the model does all that QEMU's edu does.
    #[must_use]
    pub fn as_qemu() -> Self {
        Self {
            mistakes: Mistakes::Forgive,
            reset: Reset::Keeps,
            ..Self::default()
        }
    }
}

impl Default for EduProfile {
    fn default() -> Self {
        Self {
            factorial_latency: 500..=20_000,
            step_latency: 0..=2_000,
            dma_mask: 0x0FFF_FFFF,
            mistakes: Mistakes::default(),
            reset: Reset::default(),
        }
    }
}

/// How long the computation of n! takes, without faults; nanoseconds.
pub(in crate::devices) fn computation_time(profile: &EduProfile, n: u32, cx: &mut BusContext<'_>) -> u64 {
    between(&profile.factorial_latency, cx) + u64::from(n) * MULTIPLICATION
}

/// A number that lies in the range.
pub(super) fn between(range: &RangeInclusive<u64>, cx: &mut BusContext<'_>) -> u64 {
    range.start() + cx.dice.below(range.end() - range.start() + 1)
}
