//! Requests that are the lower driver's: power.

use wdk_sys::{IRP, NTSTATUS, PDEVICE_OBJECT};

use super::{enter, reject};
use crate::{
    device::{DeviceExtension, Extension},
    irp::pass_down,
    irql::{Irql, UpToDispatch},
};

/// Passes the request down unchanged, as the documentation asks of a driver that has no part in it. Since Windows Vista a power request
/// goes by `IoCallDriver` too.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn pass_through<T: DeviceExtension>(device: PDEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the arguments are those of a dispatch routine.
    let (extension, irp) = match unsafe { enter::<T>(device, irp) } {
        Ok(entered) => entered,
        Err(status) => return status,
    };
    // SAFETY: the I/O manager calls dispatch routines at DISPATCH_LEVEL or below.
    let mut irql = unsafe { Irql::<UpToDispatch>::assume() };
    // SAFETY: the device object exists for the time of the call.
    let header = unsafe { Extension::header(extension) };
    let tag = irp.as_ptr().cast();
    if let Err(status) = header.remove_lock.acquire(tag, &mut irql) {
        // SAFETY: the IRP is owned.
        return unsafe { reject(irp, status) };
    }
    // SAFETY: the IRP is owned, and the remove lock keeps the lower device in our stack.
    let status = unsafe { pass_down(irp, header.lower()) };
    // SAFETY: acquired above.
    unsafe { header.remove_lock.release(tag) };
    status.as_raw()
}
