//! The CustomDpc of the compute queue. IRQL: DISPATCH.

use edu::stamp::InterruptStamp;
use wdm::{DpcRoutine, Irql, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the ISR when the device says that a factorial is finished.
pub enum ComputeDpc {}

impl DpcRoutine for ComputeDpc {
    type Device = EduDevice;
    type SystemArgument1 = InterruptStamp;
    type SystemArgument2 = ();

    /// Completes the current IRP, and starts the next one.
    fn run(device: &EduDevice, stamp: InterruptStamp, (): (), irql: &mut Irql<Dispatch>) {
        if !device.compute.device_interrupted(device, stamp, irql) {
            device.counters.factorial_interrupts_spurious.count();
        }
    }
}
