//! The system's clocks.

/// Where the system keeps `KUSER_SHARED_DATA` in every x64 kernel, and `InterruptTime` in it.
const INTERRUPT_TIME: usize = 0xFFFF_F780_0000_0008;

/// How long the system has run, in units of 100 nanoseconds, as of the last clock tick. Any IRQL.
///
/// DDI: `KeQueryInterruptTime`, which on x64 is an inline function that reads the page the system shares with everybody.
#[must_use]
pub fn interrupt_time() -> u64 {
    let time = core::ptr::with_exposed_provenance::<u64>(INTERRUPT_TIME);
    // SAFETY: the page is mapped, readable and never moved while the system runs; an aligned load of 8 bytes is not torn.
    unsafe { time.read_volatile() }
}
