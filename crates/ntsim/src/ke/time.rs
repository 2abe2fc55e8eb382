//! Time: virtual, the same for every processor, and nobody's wall clock. `KeQueryInterruptTimePrecise`,
//! `KeQueryUnbiasedInterruptTime`, `KeQuerySystemTimePrecise`, `KeQueryPerformanceCounter`, `KeQueryTimeIncrement`,
//! `KeStallExecutionProcessor`.

use crate::{
    ddi::{Contract, Registry},
    kernel::Kernel,
    sched::VirtualTime,
};

/// System time (100 ns units since 1601) when the machine is switched on: 2025-01-01, 00:00 UTC.
pub(crate) const BOOT_TIME: u64 = 133_801_632_000_000_000;

/// Nanoseconds in a unit of system time.
pub(crate) const UNIT: u64 = 100;

/// Nanoseconds in a millisecond.
pub(super) const MILLISECOND: VirtualTime = 1_000_000;

/// Nanoseconds between two clock interrupts.
pub(crate) const TICK: VirtualTime = MILLISECOND;

/// The longest stall that is taken as one step, in microseconds: the documentation asks for 50 at most.
const LONGEST_STALL: u64 = 1_000_000;

/// An absolute system time as virtual time; the past is now.
#[must_use]
pub fn from_system_time(units: u64) -> VirtualTime {
    units.saturating_sub(BOOT_TIME).saturating_mul(UNIT)
}

/// System time: units of 100 ns since 1601.
#[must_use]
pub fn system_time(k: &Kernel) -> u64 {
    BOOT_TIME + units(k.now())
}

/// Virtual time in units of system time, counted from when the machine was switched on: interrupt time.
pub(crate) const fn units(time: VirtualTime) -> u64 {
    time / UNIT
}

/// Virtual time as system time.
pub(crate) const fn as_system_time(time: VirtualTime) -> u64 {
    BOOT_TIME + time / UNIT
}

/// When a `DueTime` comes: relative when negative, absolute otherwise.
pub(crate) fn due(k: &Kernel, due_time: i64) -> VirtualTime {
    let units = due_time.unsigned_abs();
    if due_time < 0 {
        k.now().saturating_add(units.saturating_mul(UNIT))
    } else {
        from_system_time(units)
    }
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeStallExecutionProcessor", 1, Contract::ANY, |k, args| {
        let microseconds = u64::from(args.u32(0)).min(LONGEST_STALL);
        k.watch().clock.set(k.now() + microseconds * 1000);
        Ok(())
    });
    ddi.function("KeQuerySystemTimePrecise", 1, Contract::ANY, |k, args| {
        k.write(args.va(0), system_time(k))
    });
    ddi.function("KeQueryInterruptTimePrecise", 1, Contract::ANY, |k, args| {
        k.write(args.va(0), performance_counter(k))?;
        Ok(units(k.now()))
    });
    // The machine never sleeps, so there is no bias. The value is of the last tick.
    ddi.function("KeQueryUnbiasedInterruptTime", 0, Contract::ANY, |k, _| {
        Ok(units(k.now() / TICK * TICK))
    });
    ddi.function("KeQueryInterruptTime", 0, Contract::ANY, |k, _| {
        Ok(units(k.now() / TICK * TICK))
    });
    ddi.function("KeQueryTimeIncrement", 0, Contract::ANY, |_, _| Ok(units(TICK)));
    ddi.function("KeQueryPerformanceCounter", 1, Contract::ANY, |k, args| {
        let pointer = args.va(0);
        if !pointer.is_null() {
            k.write(pointer, PERFORMANCE_FREQUENCY)?;
        }
        Ok(performance_counter(k))
    });
}

/// Counts per second: Windows counts at 10 MHz on current machines.
const PERFORMANCE_FREQUENCY: u64 = 10_000_000;

fn performance_counter(k: &Kernel) -> u64 {
    k.now() / (1_000_000_000 / PERFORMANCE_FREQUENCY)
}
