//! The watchdog's DPC of the compute queue. IRQL: DISPATCH.

use wdm::{Irql, TimerRoutine, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the timer when a factorial's time is up.
pub enum ComputeWatchdog {}

impl TimerRoutine for ComputeWatchdog {
    type Device = EduDevice;

    fn run(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        device.compute.time_is_up(device, irql);
    }
}
