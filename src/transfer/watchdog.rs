//! The watchdog's DPC of the transfer queue. IRQL: DISPATCH.

use wdm::{Irql, TimerRoutine, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the timer when the time of a piece is up.
pub enum TransferWatchdog {}

impl TimerRoutine for TransferWatchdog {
    type Device = EduDevice;

    fn run(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        device.transfer.time_is_up(device, irql);
    }
}
