//! The CustomDpc of the compute queue. IRQL: DISPATCH.

use wdm::{DpcRoutine, Irql, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the ISR when the device says that a factorial is finished.
pub enum ComputeDpc {}

impl DpcRoutine for ComputeDpc {
    type Device = EduDevice;

    /// Finishes the current IRP, then takes the next one off the queue and starts it.
    fn run(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        if !device.compute.device_interrupted(device, irql) {
            device.counters.factorial_interrupts_spurious.count();
        }
    }
}
