//! The StartIo routine of the raise queue. IRQL: DISPATCH, under the cancel spin lock.

use wdm::{Irql, LockedStartIoQueue, StartIo, irql::SpinLockHeld};

use super::queue::State;
use crate::device::EduDevice;

/// Called by the I/O manager when a request has become the current one.
pub enum RaiseStartIo {}

impl StartIo for RaiseStartIo {
    type Device = EduDevice;
    type State = State;

    fn start_io(device: &EduDevice, queue: &mut LockedStartIoQueue<'_, State>, irql: &mut Irql<SpinLockHeld>) {
        device.raise.start_current(queue, device, irql);
    }
}
