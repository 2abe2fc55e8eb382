//! The dispatch routines, but for PnP.

use edu::ioctl::{ControlCode, IOCTL_EDU_FACTORIAL};
use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_DEVICE_NOT_READY, STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS};

use crate::{
    Device, TestDriver, irp,
    irp::{complete, stack_location},
};

/// Create, cleanup and close.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn succeed(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the IRP is at this driver.
    unsafe { complete(irp, STATUS_SUCCESS) }
}

/// Device control.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn device_control<D: TestDriver>(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager calls with a device object of this driver.
    let device = unsafe { Device::<D>::of(device) };
    // The IRP is gone when the lock is released: its address is a tag only.
    if let Err(status) = device.acquire_remove_lock(irp.cast()) {
        // SAFETY: the IRP is at this driver.
        return unsafe { complete(irp, status) };
    }
    // SAFETY: the IRP is at this driver, and stays so until it is completed below.
    let stack = unsafe { stack_location(irp) };
    // SAFETY: as above.
    let parameters = unsafe { &(*stack).Parameters };
    // SAFETY: the dispatch routine says which member of the union is in use.
    let code = unsafe { parameters.DeviceIoControl.IoControlCode };
    // SAFETY: the extension exists while the lock is held.
    let started = !unsafe { (*device.extension()).registers }.is_null();
    let status = match ControlCode::from_raw(code) {
        // SAFETY: the IRP is at this driver.
        IOCTL_EDU_FACTORIAL if started => unsafe { factorial(device, irp) },
        // SAFETY: as above.
        IOCTL_EDU_FACTORIAL => unsafe { complete(irp, STATUS_DEVICE_NOT_READY) },
        // SAFETY: as above.
        _ => unsafe { complete(irp, STATUS_INVALID_DEVICE_REQUEST) },
    };
    // SAFETY: acquired above with this tag.
    unsafe { device.release_remove_lock(irp.cast()) };
    status
}

/// The driver's own part, compiled so that a report can name its lines: not inlined, since common tails would be merged with this
/// crate's, and with something left to do behind it, since a last call that becomes a jump is in no call stack.
///
/// # Safety
/// As for [`TestDriver::factorial`].
#[inline(never)]
unsafe fn factorial<D: TestDriver>(device: Device<D>, irp: PIRP) -> NTSTATUS {
    // SAFETY: promised by the caller.
    let status = unsafe { D::factorial(device, irp) };
    core::hint::black_box(status)
}

/// Power and WMI: the lower driver's.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn pass_down<D: TestDriver>(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager calls with a device object of this driver.
    let device = unsafe { Device::<D>::of(device) };
    if let Err(status) = device.acquire_remove_lock(irp.cast()) {
        // SAFETY: the IRP is at this driver.
        return unsafe { complete(irp, status) };
    }
    // SAFETY: the extension exists while the lock is held.
    let lower = unsafe { (*device.extension()).lower };
    // SAFETY: the IRP is at this driver.
    let status = unsafe { irp::pass_down(irp, lower) };
    // SAFETY: acquired above with this tag.
    unsafe { device.release_remove_lock(irp.cast()) };
    status
}
