//! The CustomDpc of the doorbell queue. IRQL: DISPATCH.

use edu::stamp::InterruptStamp;
use wdm::{DpcRoutine, Irql, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the ISR for an interrupt of the device, whatever its causes, while somebody waits for one.
pub enum DoorbellDpc {}

impl DpcRoutine for DoorbellDpc {
    type Device = EduDevice;
    type SystemArgument1 = InterruptStamp;
    type SystemArgument2 = ();

    fn run(device: &EduDevice, stamp: InterruptStamp, (): (), irql: &mut Irql<Dispatch>) {
        device.doorbell.device_interrupted(device, stamp, irql);
    }
}
