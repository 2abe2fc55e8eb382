//! The CustomDpc of the doorbell queue. IRQL: DISPATCH.

use wdm::{DpcRoutine, Irql, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the ISR for an interrupt of the device, whatever its causes, while somebody waits for one.
pub enum DoorbellDpc {}

impl DpcRoutine for DoorbellDpc {
    type Device = EduDevice;

    fn run(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        device.doorbell.counters.dpcs_run.count();
        device.doorbell.complete_arrived(device, irql);
    }
}
