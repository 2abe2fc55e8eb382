//! Time: virtual, the same for every processor, and nobody's wall clock.

use crate::{
    ddi::{Contract, Registry},
    sched::VirtualTime,
};

/// System time (100 ns units since 1601) when the machine is switched on: 2025-01-01, 00:00 UTC.
const BOOT_TIME: u64 = 133_801_632_000_000_000;

/// Nanoseconds in a unit of system time.
const UNIT: u64 = 100;

/// The longest stall that is taken as one step, in microseconds: the documentation asks for 50 at most.
const LONGEST_STALL: u64 = 1_000_000;

/// An absolute system time as virtual time; the past is now.
#[must_use]
pub fn from_system_time(units: u64) -> VirtualTime {
    units.saturating_sub(BOOT_TIME) * UNIT
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeStallExecutionProcessor", 1, Contract::ANY, |k, args| {
        let microseconds = u64::from(args.u32(0)).min(LONGEST_STALL);
        k.watch().clock.set(k.now() + microseconds * 1000);
        Ok(())
    });
    ddi.function("KeQueryInterruptTime", 0, Contract::ANY, |k, _| Ok(k.now() / UNIT));
    ddi.function("KeQuerySystemTimePrecise", 1, Contract::ANY, |k, args| {
        k.write(args.va(0), BOOT_TIME + k.now() / UNIT)
    });
    ddi.function("KeQueryPerformanceCounter", 1, Contract::ANY, |k, args| {
        /// Windows counts at 10 MHz on current machines.
        const FREQUENCY: u64 = 10_000_000;
        let pointer = args.va(0);
        if !pointer.is_null() {
            k.write(pointer, FREQUENCY)?;
        }
        Ok(k.now() / UNIT)
    });
}
