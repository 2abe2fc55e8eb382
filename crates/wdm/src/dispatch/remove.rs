//! `IRP_MN_REMOVE_DEVICE`.
//!
//! See [Removing a Device in a Function Driver](https://learn.microsoft.com/windows-hardware/drivers/kernel/removing-a-device-in-a-function-driver).

use core::ptr::NonNull;

use wdk_sys::IRP;

use crate::{
    device::{DeviceExtension, Extension, PnpState, StopReason, close_queues, lifecycle, tear_down},
    error::Error,
    irp::{pass_down, set_status},
    irql::{Irql, Passive},
    status::Status,
};

/// Removes the device: stops the hardware if it is there, ends every request, passes the request down, waits until nobody uses the
/// device any more, and deletes it.
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
    // SAFETY: the IRP is owned, and this is its last use.
    let status = unsafe { pass_down(irp, header.lower()) };
    // SAFETY: acquired for this IRP, the remove request; its address serves as a tag only.
    unsafe { header.remove_lock.release_and_wait(irp.as_ptr().cast(), irql) };
    // SAFETY: the request was passed down and every user of the device has left.
    unsafe { tear_down(extension, irql) };
    status
}
