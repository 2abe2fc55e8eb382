//! The CustomDpc of the transfer queue. IRQL: DISPATCH.

use edu::stamp::InterruptStamp;
use wdm::{DpcRoutine, Irql, irql::Dispatch};

use crate::device::EduDevice;

/// Queued by the ISR when the device says that a DMA transfer is finished.
pub enum TransferDpc {}

impl DpcRoutine for TransferDpc {
    type Device = EduDevice;
    type SystemArgument1 = InterruptStamp;
    type SystemArgument2 = ();

    /// Finishes the current piece. Its IRP's next piece, or the next IRP, is started before this returns.
    fn run(device: &EduDevice, stamp: InterruptStamp, (): (), irql: &mut Irql<Dispatch>) {
        device.transfer.device_interrupted(device, stamp, irql);
    }
}
