//! The DpcForIsr, which finishes the raise queue's current request. IRQL: DISPATCH.

use edu::stamp::InterruptStamp;
use wdm::{DpcForIsrRoutine, Irql, Serial, irql::Dispatch};

use crate::device::EduDevice;

/// Asked for by the ISR (`IoRequestDpc`) when causes have come that only software raises.
pub enum RaiseDpcForIsr {}

impl DpcForIsrRoutine for RaiseDpcForIsr {
    type Device = EduDevice;
    type Context = InterruptStamp;

    fn run(device: &EduDevice, _then: Option<Serial>, stamp: InterruptStamp, irql: &mut Irql<Dispatch>) {
        device.raise.device_interrupted(device, stamp, irql);
    }
}
