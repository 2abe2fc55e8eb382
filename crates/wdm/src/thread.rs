//! Waiting without an object to wait for.

use wdk_sys::{_MODE::KernelMode, KPROCESSOR_MODE, ntddk::KeDelayExecutionThread};

use crate::{
    irql::{Irql, Passive},
    time::TimeSpan,
};

/// Waits for `time`, which the system rounds up to its clock tick. IRQL: `PASSIVE_LEVEL`. DDI: `KeDelayExecutionThread`.
///
/// For something that nobody tells of: an [`Event`](crate::Event) is to be waited for where there is one.
pub fn sleep(time: impl Into<TimeSpan>, _irql: &mut Irql<Passive>) {
    let mut interval = time.into().relative();
    // SAFETY: PASSIVE_LEVEL, as the token proves, and the interval is valid for the call. A wait that is not alertable has one
    // outcome, so the status tells nothing.
    let _ = unsafe { KeDelayExecutionThread(KERNEL_MODE, 0, &raw mut interval) };
}

/// The processor mode of a wait by a driver: its stack stays in memory and no user APC ends it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "an enumeration is signed in some kits, unsigned in others"
)]
pub(crate) const KERNEL_MODE: KPROCESSOR_MODE = KernelMode as KPROCESSOR_MODE;
