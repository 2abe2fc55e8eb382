//! The watchdog's DPC of the raise queue. IRQL: DISPATCH.

use wdm::{Irql, TimerRoutine, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the timer when the time of the current request is up.
pub enum RaiseWatchdog {}

impl TimerRoutine for RaiseWatchdog {
    type Device = EduDevice;

    fn run(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        device.raise.time_is_up(device, irql);
    }
}
