//! `IRP_MN_REMOVE_DEVICE`.
//!
//! The order is that of [Removing a Device in a Function Driver](https://learn.microsoft.com/windows-hardware/drivers/kernel/removing-a-device-in-a-function-driver),
//! with one step more. That page requires nobody to wait for the lower drivers, and its driver sets no completion routine. This one waits, by the
//! procedure for [other PnP requests](https://learn.microsoft.com/windows-hardware/drivers/kernel/postponing-pnp-irp-processing-until-lower-drivers-finish):
//! any of them may keep the request for a while, and as long as the bus driver has not had it, a device that could not be stopped is master of the bus and
//! writes to its [`CommonBuffer`](crate::CommonBuffer).

use core::ptr::NonNull;

use wdk_sys::IRP;

use crate::{
    device::{DeviceExtension, Extension, PnpState, StopReason, close_queues, lifecycle, tear_down},
    error::Error,
    irp::{finish, forward_removal_and_wait, set_status},
    irql::{Irql, Passive},
    power::{DevicePowerState, report},
    status::Status,
};

/// Removes the device: stops the hardware if it is there, ends every request, keeps everybody from the lower drivers, passes the request down to them and
/// waits until they have handled it, and until nobody uses the device any more; deletes it, and completes the request.
///
/// # Safety
/// The IRP must be the remove request of the extension's device, owned, with the remove lock acquired for it. Neither the IRP nor the
/// extension may be used afterwards.
pub(super) unsafe fn remove<T: DeviceExtension>(
    extension: NonNull<Extension<T>>,
    irp: NonNull<IRP>,
    irql: &mut Irql<Passive>,
) -> Status {
    // SAFETY: the extension exists until teardown.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: AddDevice has initialised the value, and the remove lock keeps it.
    let device: &T = unsafe { Extension::data(extension) };

    header.set_state(PnpState::Removed);
    // SAFETY: PnP dispatch has the interface for itself.
    let interface = unsafe { &mut *header.interface.get() };
    // It is disabled already where the device was never started or was taken out.
    let _ = interface.set_state(false, irql);
    lifecycle::stop(header, device, StopReason::Remove, irql);
    // What the device was not known to be done with when it was stopped or taken out.
    lifecycle::free_idle_buffers(header, device, irql);
    // SAFETY: promised by the caller.
    unsafe { leave(extension, irp, irql) }
}

/// Ends every request that waits here, passes the request down, waits until nobody uses the device any more, and deletes it. The hardware is
/// not touched any more.
///
/// # Safety
/// As [`remove`].
pub(super) unsafe fn leave<T: 'static>(
    extension: NonNull<Extension<T>>,
    irp: NonNull<IRP>,
    irql: &mut Irql<Passive>,
) -> Status {
    // SAFETY: the extension exists until teardown.
    let header = unsafe { Extension::header(extension) };
    close_queues(header, Error::DELETE_PENDING, irql);

    // SAFETY: the IRP is owned.
    unsafe { set_status(irp, Status::SUCCESS, 0) };
    // SAFETY: the IRP is the remove request, and owned.
    unsafe { forward_removal_and_wait(irp, header, irql) };
    // SAFETY: acquired for this IRP, the remove request; its address serves as a tag only.
    unsafe { header.remove_lock.release_and_wait(irp.as_ptr().cast(), irql) };
    header.dispatch_calls.wait(irql);
    // What is pending has ended, and the device object is about to be deleted. See
    // https://learn.microsoft.com/windows-hardware/drivers/kernel/powering-down-a-device
    report(header.device(), DevicePowerState::D3, irql);
    // SAFETY: the lower drivers have handled the request, and every user of the device has left.
    unsafe { tear_down(extension, irql) };
    // Whatever the lower drivers say: no driver may fail this request, and it is this one that completes it.
    // SAFETY: the IRP is at this driver, and given up.
    unsafe { finish(irp, Status::SUCCESS) };
    Status::SUCCESS
}
