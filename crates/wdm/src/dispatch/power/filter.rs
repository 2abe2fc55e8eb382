//! `IRP_MJ_POWER` at a filter: the power policy is the function driver's.
//!
//! A filter passes everything down. It tells the power manager of its own device object, as each driver of a stack does: before a device leaves D0, and
//! when it has come back.
//!
//! See [Handling IRP_MN_SET_POWER for Device Power States](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-irp-mn-set-power-for-device-power-states).

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use wdk_sys::{DEVICE_OBJECT, IRP, NTSTATUS, PDEVICE_OBJECT, STATUS_SUCCESS};

use super::{super::enter_admitted, request::Request, set_device, work_off};
use crate::{
    device::{Extension, FilterDevice, Header},
    irp::{pass_down, pass_on, status},
    irql::{Irql, Passive, UpToDispatch},
    power::{report, report_d0},
};

/// `IRP_MJ_POWER`.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn power<T: FilterDevice>(device: PDEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the power manager calls at PASSIVE_LEVEL, or at DISPATCH_LEVEL if the device object does not say DO_POWER_PAGABLE.
    let mut irql = unsafe { Irql::<UpToDispatch>::assume() };
    // SAFETY: the arguments are those of a dispatch routine.
    let (extension, irp) = match unsafe { enter_admitted::<T, _>(device, irp, &mut irql) } {
        Ok(admitted) => admitted,
        Err(status) => return status,
    };
    // SAFETY: the remove lock keeps the extension.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: the IRP is at this driver.
    match unsafe { Request::of(irp) } {
        // SAFETY: the IRP is owned, with the remove lock acquired, and given up.
        Request::SetDevice(to) => unsafe { set_device(header, irp, to, power_given, leaves_d0, &mut irql) },
        // SAFETY: as above.
        _ => unsafe { pass_on(irp, header) }.as_raw(),
    }
}

/// The lower drivers have set D0, or have failed to.
///
/// # Safety
/// To be called by the I/O manager only, with the header of a filter's extension as context.
unsafe extern "C" fn power_given(_device: *mut DEVICE_OBJECT, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    let (Some(irp), Some(header)) = (NonNull::new(irp), NonNull::new(context.cast::<Header>())) else {
        return STATUS_SUCCESS;
    };
    // SAFETY: the I/O manager calls completion routines at DISPATCH_LEVEL or below.
    let mut irql = unsafe { Irql::<UpToDispatch>::assume() };
    // SAFETY: the remove lock keeps the header.
    let header = unsafe { header.as_ref() };
    // SAFETY: the IRP is at this driver again.
    if unsafe { status(irp) }.is_success() {
        report_d0(header.device(), &mut irql);
    }
    // SAFETY: acquired for the IRP, whose address serves as a tag only. Nothing of the device is used below.
    unsafe { header.remove_lock.release(irp.as_ptr().cast()) };
    STATUS_SUCCESS
}

/// The work item: the device is about to leave D0, or a state between. One that the hibernation file is on keeps its power until that is written, and the
/// power manager is told nothing:
/// [`IRP_MN_DEVICE_USAGE_NOTIFICATION`](https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-mn-device-usage-notification).
///
/// # Safety
/// To be called by the I/O manager only, with the header of a filter's extension as context.
unsafe extern "C" fn leaves_d0(_device: PDEVICE_OBJECT, context: *mut c_void) {
    let Some(header) = NonNull::new(context.cast::<Header>()) else {
        return;
    };
    // SAFETY: the I/O manager calls in a system thread, at PASSIVE_LEVEL.
    let mut irql = unsafe { Irql::<Passive>::assume() };
    // SAFETY: the remove lock, acquired for the request that the work item was queued for, keeps the header.
    let header = unsafe { header.as_ref() };
    let handle = |irp, irql: &mut Irql<Passive>| {
        // SAFETY: the IRP is a power request at this driver.
        let request = unsafe { Request::of(irp) };
        // SAFETY: as above.
        let stays_on =
            header.has_hibernation_file.load(Ordering::Relaxed) && unsafe { Request::is_of_hibernation(irp) };
        if let Request::SetDevice(to) = request
            && !stays_on
        {
            report(header.device(), to, irql);
        }
        // SAFETY: the IRP is owned and given up, and the remove lock keeps the header.
        let _ = unsafe { pass_down(irp, header) };
    };
    // SAFETY: this is the work item, and `handle` passes the IRP on.
    unsafe { work_off(header, &mut irql, handle) };
}
