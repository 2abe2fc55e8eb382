//! The DPC watchdog: how long one DPC or service routine may take, and how long a processor may be at `DISPATCH_LEVEL` or above.
//!
//! Microsoft documents the rule and its bug check, 0x133, and says that a DPC should take 100 microseconds at most while the limits that are
//! enforced are much higher; the numbers here are those of the documentation's examples, in ticks of the clock. Time is that of the processor
//! itself: what other processors do meanwhile does not count.
//!
//! An instruction takes a nanosecond, but to emulate it takes much longer. So that a loop without an end meets its limit soon, time passes
//! faster on a processor that has been at `DISPATCH_LEVEL` or above for very many instructions or calls.

use super::{ActivityKind, VirtualTime};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ke::{Irql, time::TICK},
    kernel::Kernel,
};

/// How many ticks one DPC or service routine may take.
pub const ROUTINE_TICKS: u64 = 500;
/// How many ticks a processor may be at `DISPATCH_LEVEL` or above: the watchdog period.
pub const PERIOD_TICKS: u64 = 0x1E00;

/// After so many instructions a slice grows with what went before: a loop takes few steps of the scheduler.
const LONG: u64 = 100_000;
/// After so many instructions time passes faster.
const ENDLESS: u64 = 1_000_000;
/// Nanoseconds for an instruction then.
const SLOW_INSTRUCTION: VirtualTime = 50;
/// After so many calls and device accesses time passes faster.
const ENDLESS_EXITS: u64 = 50_000;
/// Nanoseconds for a call or device access then.
const SLOW_EXIT: VirtualTime = 50_000;

/// What a processor has done since its IRQL was below `DISPATCH_LEVEL` last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raised {
    time: VirtualTime,
    /// Instructions, and the rounds of those that are repeated.
    steps: u64,
    instructions: u64,
    exits: u64,
}

impl Raised {
    /// How many instructions the next slice may have, when the scheduler says `budget`.
    pub(super) fn slice(&self, budget: u64) -> u64 {
        if self.steps < LONG {
            budget
        } else {
            budget.max(self.steps / 8)
        }
    }

    /// Instructions.
    pub(crate) fn instructions(&self) -> u64 {
        self.instructions
    }

    /// What a slice of `steps` costs.
    pub(super) fn cost(&self, steps: u64) -> VirtualTime {
        let time = if self.steps < ENDLESS {
            steps
        } else {
            steps * SLOW_INSTRUCTION
        };
        let exit = if self.exits < ENDLESS_EXITS { 0 } else { SLOW_EXIT };
        time + exit
    }
}

/// What `KeQueryDpcWatchdogInformation` tells: limits and what is left of them, in ticks; none when no DPC runs and the IRQL is lower.
pub(crate) fn information(k: &Kernel) -> Option<[u32; 4]> {
    let (raised, routine) = {
        let scheduler = k.scheduler().borrow();
        let this = &scheduler.processors[k.processor()];
        if this.irql < Irql::DISPATCH {
            return None;
        }
        (
            this.raised.time,
            this.current().map_or(0, |activity| activity.routine_time),
        )
    };
    let ticks = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Some([
        ticks(ROUTINE_TICKS),
        ticks(ROUTINE_TICKS.saturating_sub(routine / TICK)),
        ticks(PERIOD_TICKS),
        ticks(PERIOD_TICKS.saturating_sub(raised / TICK)),
    ])
}

/// Slices of guest code of a processor.
pub(super) fn raised(k: &Kernel, processor: usize) -> Raised {
    k.scheduler().borrow().processors[processor].raised
}

/// A slice of guest code has run: how many steps and instructions, and whether it ended before its budget did.
pub(super) fn note_slice(k: &Kernel, processor: usize, steps: u64, instructions: u64, exit: bool) {
    let mut scheduler = k.scheduler().borrow_mut();
    let this = &mut scheduler.processors[processor];
    if this.irql >= Irql::DISPATCH {
        this.raised.steps += steps;
        this.raised.instructions += instructions;
        this.raised.exits += u64::from(exit);
    }
}

/// A DPC or service routine begins.
pub(crate) fn begin_routine(k: &Kernel) {
    k.with_activity(|activity| activity.routine_time = 0);
}

/// The processor's own step took `time`.
///
/// # Errors
/// When the DPC or service routine has taken too long, or the processor was at `DISPATCH_LEVEL` or above for too long.
pub(super) fn charge(k: &Kernel, processor: usize, time: VirtualTime) -> Outcome<()> {
    let (raised, routine) = {
        let mut scheduler = k.scheduler().borrow_mut();
        let this = &mut scheduler.processors[processor];
        if this.irql < Irql::DISPATCH {
            this.raised = Raised::default();
            return Ok(());
        }
        this.raised.time += time;
        let raised = this.raised.time;
        let routine = match this.activities.last_mut() {
            Some(activity) if !matches!(activity.kind, ActivityKind::Thread(_)) => {
                activity.routine_time += time;
                activity.routine_time
            }
            _ => 0,
        };
        (raised, routine)
    };
    if routine > ROUTINE_TICKS * TICK {
        return Err(k.bugcheck(routine_too_long(k, routine)));
    }
    if raised > PERIOD_TICKS * TICK {
        return Err(k.bugcheck(raised_too_long()));
    }
    Ok(())
}

/// Nobody could run for `time`, which processors that spin have spent at their IRQL: the one for which that was too long.
pub(super) fn spun_too_long(k: &Kernel, time: VirtualTime) -> Option<usize> {
    let mut scheduler = k.scheduler().borrow_mut();
    let mut all = scheduler.processors.iter_mut().enumerate();
    all.find_map(|(processor, this)| {
        if this.irql < Irql::DISPATCH || this.activities.is_empty() {
            return None;
        }
        this.raised.time += time;
        (this.raised.time > PERIOD_TICKS * TICK).then_some(processor)
    })
}

fn routine_too_long(k: &Kernel, time: VirtualTime) -> BugCheck {
    let what = match k.activity() {
        Some(ActivityKind::Interrupt { .. }) => "the interrupt service routine",
        _ => "the DPC",
    };
    BugCheck::new(
        Code::DPC_WATCHDOG_VIOLATION,
        [0, time.div_ceil(TICK), ROUTINE_TICKS, 0],
        "dpc-too-long",
        format!(
            "{what} has taken {} ms, and does not end; {ROUTINE_TICKS} ms are allowed",
            time / 1_000_000
        ),
    )
}

/// What is wrong with a processor that does not fall below `DISPATCH_LEVEL`.
pub(super) fn raised_too_long() -> BugCheck {
    BugCheck::new(
        Code::DPC_WATCHDOG_VIOLATION,
        [1, PERIOD_TICKS, 0, 0],
        "dispatch-too-long",
        format!("the processor was at DISPATCH_LEVEL or above for {PERIOD_TICKS} ms"),
    )
}

#[cfg(test)]
mod tests;
