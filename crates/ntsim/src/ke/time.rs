//! Time: virtual, the same for every processor, and nobody's wall clock.

use crate::{
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::{Pa, Protection, Va},
    sched::VirtualTime,
};

/// System time (100 ns units since 1601) when the machine is switched on: 2025-01-01, 00:00 UTC.
const BOOT_TIME: u64 = 133_801_632_000_000_000;

/// Nanoseconds in a unit of system time.
const UNIT: u64 = 100;

/// Where every x64 kernel has `KUSER_SHARED_DATA`, which drivers read the time from.
const SHARED_DATA: Va = Va(0xFFFF_F780_0000_0000);
/// Its size, bytes: a page.
const SHARED_DATA_SIZE: u64 = 0x1000;
/// `KUSER_SHARED_DATA::InterruptTime`: low part, high part, and the high part again.
const INTERRUPT_TIME: usize = 0x08;
/// `KUSER_SHARED_DATA::SystemTime`, in the same form.
const SYSTEM_TIME: usize = 0x14;
/// How often the clock interrupt brings the shared times up to date, nanoseconds.
const TICK: VirtualTime = 1_000_000;

/// The page of `KUSER_SHARED_DATA`, and up to when its times are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedData {
    page: Pa,
    ticks: u64,
}

/// Maps `KUSER_SHARED_DATA`, for drivers to read.
pub(crate) fn map_shared_data(k: &Kernel) {
    let page = k.map_ram(SHARED_DATA, SHARED_DATA_SIZE, Protection::READ, "KUSER_SHARED_DATA");
    let shared = SharedData { page, ticks: 0 };
    write_times(k, shared);
    k.ke().borrow_mut().shared_data = Some(shared);
}

/// Brings the times in `KUSER_SHARED_DATA` up to the last tick of the clock.
pub(crate) fn tick(k: &Kernel) {
    let ticks = k.now() / TICK;
    let shared = k.ke().borrow().shared_data;
    if let Some(shared) = shared.filter(|shared| shared.ticks != ticks) {
        let shared = SharedData { ticks, ..shared };
        write_times(k, shared);
        k.ke().borrow_mut().shared_data = Some(shared);
    }
}

fn write_times(k: &Kernel, shared: SharedData) {
    let interrupt_time = shared.ticks * (TICK / UNIT);
    let mut engine = k.engine().borrow_mut();
    for (field, time) in [
        (INTERRUPT_TIME, interrupt_time),
        (SYSTEM_TIME, BOOT_TIME + interrupt_time),
    ] {
        let [low, high] = [time.to_le_bytes()[..4].to_vec(), time.to_le_bytes()[4..].to_vec()];
        engine.write(Pa(shared.page.0 + field as u64), &[low, high.clone(), high].concat());
    }
}

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
