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
    // SAFETY: promised by the caller: the IRP is at this driver.
    let associated = unsafe { &(*irp).AssociatedIrp };
    // SAFETY: the request is buffered, so that this member of the union is in use.
    let buffer = unsafe { associated.SystemBuffer };
    // SAFETY: the I/O manager has made the buffer, and the request has an input of four bytes.
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
