//! The driver's dispatch routines: the trampolines between the I/O manager and [`DeviceExtension`](crate::DeviceExtension) or
//! [`FilterDevice`](crate::FilterDevice).

pub(crate) mod filter;
mod io;
mod pnp;
mod power;
mod remove;
mod usage_notification;

use core::ptr::NonNull;

pub(crate) use io::{cleanup, close, create, device_control, other_request, read, system_control, write};
pub(crate) use pnp::pnp;
pub(crate) use power::power;
use wdk_sys::{IRP, NTSTATUS, PDEVICE_OBJECT, ntddk::IofCompleteRequest};

use crate::{
    device::{Extension, Header},
    error::Error,
    irp::{pass_down, set_status},
    irql::{AtMostDispatch, Irql},
    status::Status,
};

/// The extension and the IRP of a dispatch call; or the status that the IRP was completed with, since the device object is not one of
/// this type.
///
/// # Safety
/// To be called with the arguments of a dispatch routine.
unsafe fn enter<T: 'static>(
    device: PDEVICE_OBJECT,
    irp: *mut IRP,
) -> Result<(NonNull<Extension<T>>, NonNull<IRP>), NTSTATUS> {
    // SAFETY: the I/O manager calls with a device object of this driver, which exists for the time of the call.
    let extension = unsafe { Extension::of(device) };
    let irp = NonNull::new(irp).ok_or(Error::INVALID_PARAMETER.as_raw())?;
    match extension {
        Some(extension) => Ok((extension, irp)),
        // SAFETY: the IRP is at this driver.
        None => Err(unsafe { reject(irp, Error::INVALID_DEVICE_REQUEST) }),
    }
}

/// Acquires the remove lock for a request that the lower driver is to see, with the IRP as tag; or the status that the IRP was completed with:
/// the device is being removed, or is not in its stack yet, and there is nobody below.
///
/// # Safety
/// The IRP must be at this driver and owned; the caller gives it up if this fails.
unsafe fn admit<L: AtMostDispatch>(header: &Header, irp: NonNull<IRP>, irql: &mut Irql<L>) -> Result<(), NTSTATUS> {
    let attached = header.lower.device().ok_or(Error::DEVICE_NOT_READY);
    let admitted = attached.and_then(|_| header.remove_lock.acquire(irp.as_ptr().cast(), irql));
    // SAFETY: the IRP is owned, and no remove lock is held for it.
    admitted.map_err(|error| unsafe { reject(irp, error) })
}

/// Passes down a request that this driver has no part in, and releases the remove lock.
///
/// # Safety
/// The IRP must be at this driver and owned, with the remove lock of `header` acquired for it; the caller gives it up.
unsafe fn pass_on(header: &Header, irp: NonNull<IRP>) -> Status {
    // SAFETY: the IRP is owned, and the remove lock keeps the header.
    let status = unsafe { pass_down(irp, header) };
    // SAFETY: acquired for the IRP, whose address serves as a tag only.
    unsafe { header.remove_lock.release(irp.as_ptr().cast()) };
    status
}

/// Completes an IRP for which no remove lock is held.
///
/// # Safety
/// The IRP must be at this driver and owned; the caller gives it up.
unsafe fn reject(irp: NonNull<IRP>, error: Error) -> NTSTATUS {
    // SAFETY: the IRP is owned.
    unsafe { set_status(irp, error.into(), 0) };
    // SAFETY: the IRP is owned and given up. No boost.
    unsafe { IofCompleteRequest(irp.as_ptr(), 0) };
    error.as_raw()
}
