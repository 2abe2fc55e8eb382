//! The StartIo routine of the raise queue. IRQL: DISPATCH.

use wdm::{Irql, StartIo, irql::Dispatch};

use crate::device::EduDevice;

/// Called by the I/O manager when a request has become the current one.
pub enum RaiseStartIo {}

impl StartIo for RaiseStartIo {
    type Device = EduDevice;

    fn start_io(device: &EduDevice, irql: &mut Irql<Dispatch>) {
        device.raise.start_current(device, irql);
    }
}
