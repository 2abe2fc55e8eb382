//! `IOCTL_EDU_FACTORIAL`, as a driver that has a right way and a wrong one serves it: its input says which.

use wdk_sys::{NTSTATUS, PIRP};

use crate::irp;

/// The input that asks a driver for its fault. Any other asks for the right way.
const FAULT: u32 = 5;

/// Whether the request asks for the driver's fault.
///
/// # Safety
/// The IRP must be an `IOCTL_EDU_FACTORIAL` at this driver.
#[must_use]
pub unsafe fn asks_for_fault(irp: PIRP) -> bool {
    // SAFETY: promised by the caller: the request is buffered, and its input has been checked to be there.
    let buffer = unsafe { (*irp).AssociatedIrp.SystemBuffer };
    // SAFETY: as above.
    let input = unsafe { buffer.cast::<u32>().read_unaligned() };
    input == FAULT
}

/// Completes the request without output, and returns the status.
///
/// # Safety
/// The IRP must be at this driver; the caller gives it up.
pub unsafe fn finish(request: PIRP, status: NTSTATUS) -> NTSTATUS {
    // SAFETY: promised by the caller.
    unsafe { irp::complete(request, status) }
}
