//! The DpcForIsr, which finishes the raise queue's current request. IRQL: DISPATCH.

use wdm::{DpcForIsrRoutine, Irql, irql::Dispatch};

use crate::device::EduDevice;

/// Asked for by the ISR (`IoRequestDpc`) when causes have come that only software raises.
pub enum RaiseDpcForIsr {}

impl DpcForIsrRoutine for RaiseDpcForIsr {
    type Device = EduDevice;

    fn run(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        device.raise.counters.dpcs_run.count();
        device.raise.finish_current(device, irql);
    }
}
