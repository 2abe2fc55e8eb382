//! `IRP_MN_SET_POWER` for a state of the device, at its function driver.
//!
//! It goes to a work item, because the driver has to wait for what is in flight: on its way down if the device leaves D0, on its way up if it comes back.
//! That is so in every state of the device: of one that has no hardware the driver reports the power state all the same.
//!
//! See [Handling IRP_MN_SET_POWER for Device Power States](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-irp-mn-set-power-for-device-power-states).

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, IRP, NTSTATUS, PDEVICE_OBJECT, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS,
    ntddk::IofCompleteRequest,
};

use super::{leave_to_work_item, request::Request, work_off};
use crate::{
    device::{DeviceExtension, Extension, Header, failure, lifecycle},
    irp::{pass_down, status},
    irql::{Irql, Passive, UpToDispatch},
    power::DevicePowerState,
};

/// The lower drivers have set D0, or have failed to.
///
/// # Safety
/// To be called by the I/O manager only, with the header of an `Extension<T>` as context.
pub(super) unsafe extern "C" fn power_given<T: DeviceExtension>(
    _device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let (Some(irp), Some(header)) = (NonNull::new(irp), NonNull::new(context.cast::<Header>())) else {
        return STATUS_SUCCESS;
    };
    // SAFETY: the I/O manager calls completion routines at DISPATCH_LEVEL or below.
    let mut irql = unsafe { Irql::<UpToDispatch>::assume() };
    // SAFETY: the remove lock keeps the header.
    let header = unsafe { header.as_ref() };
    // SAFETY: the IRP is at this driver again, and pending.
    unsafe { leave_to_work_item(header, irp, work::<T>, &mut irql) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// The work item: the device is to leave D0, or the lower drivers have set it, or [`super::system`] could not ask for a state of the device.
///
/// # Safety
/// To be called by the I/O manager only, with the header of an `Extension<T>` as context.
pub(super) unsafe extern "C" fn work<T: DeviceExtension>(_device: PDEVICE_OBJECT, context: *mut c_void) {
    let Some(extension) = NonNull::new(context.cast::<Extension<T>>()) else {
        return;
    };
    // SAFETY: the I/O manager calls in a system thread, at PASSIVE_LEVEL.
    let mut irql = unsafe { Irql::<Passive>::assume() };
    // SAFETY: the remove lock, acquired for the request that the work item was queued for, keeps the extension.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: as above; AddDevice has initialised the value.
    let device: &T = unsafe { Extension::data(extension) };
    let handle = |irp, irql: &mut Irql<Passive>| {
        // SAFETY: the request is this work item's, with the remove lock, and passed on.
        unsafe { handle(header, device, irp, irql) };
    };
    // SAFETY: this is the work item.
    unsafe { work_off(header, &mut irql, handle) };
}

/// Does what a set-power request asks for, and passes it on: down, or up.
///
/// # Safety
/// The IRP must be a set-power request, owned and pending, with the remove lock of `header` acquired for it, which stays so; the caller gives the
/// IRP up.
unsafe fn handle<T: DeviceExtension>(header: &Header, device: &T, irp: NonNull<IRP>, irql: &mut Irql<Passive>) {
    // SAFETY: promised by the caller.
    let request = unsafe { Request::of(irp) };
    match request {
        Request::SetDevice(to) if to != DevicePowerState::D0 => {
            lifecycle::power_down(header, device, to, irql);
            // SAFETY: the IRP is owned, and the remove lock keeps the header.
            let _ = unsafe { pass_down(irp, header) };
        }
        Request::System(_) => {
            // The system goes to sleep, no request for a state of the device could be sent, and the system may cut the power of a device in D0:
            // what is in flight is finished first, and the rest waits.
            lifecycle::await_power_loss(header, device, irql);
            // SAFETY: the IRP is owned and given up; it goes on with the lower drivers' status.
            unsafe { IofCompleteRequest(irp.as_ptr(), 0) };
        }
        _ => {
            // SAFETY: the IRP is owned.
            let given = unsafe { status(irp) }.into_result();
            // Nobody may fail such a request because of the device: that it does not work is told by its PnP state.
            if given.and_then(|()| lifecycle::power_up(header, device, irql)).is_err() {
                failure::report(header, irql);
            }
            // SAFETY: the IRP is owned and given up; it goes on with the status that it came with.
            unsafe { IofCompleteRequest(irp.as_ptr(), 0) };
        }
    }
}
