//! The CustomDpc of the transfer queue. IRQL: DISPATCH.

use wdm::{DpcRoutine, Irql, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the ISR when the device says that a DMA transfer is finished.
pub enum TransferDpc {}

impl DpcRoutine for TransferDpc {
    type Device = EduDevice;

    /// Finishes the current piece. Its IRP's next piece, or the next IRP, is started before this returns.
    fn run(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        device.transfer.device_interrupted(device, irql);
    }
}
