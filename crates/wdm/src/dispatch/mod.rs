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
use wdk_sys::{IRP, NTSTATUS, PDEVICE_OBJECT};

use crate::{
    device::{Extension, Header},
    error::Error,
    irp::finish,
    irql::{AtMostDispatch, Irql},
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

/// [`enter`], then [`admit`]: for PnP and power requests, which the lower drivers see in every state of the device.
///
/// # Safety
/// As [`enter`], at the IRQL that the token says.
unsafe fn enter_admitted<T: 'static, L: AtMostDispatch>(
    device: PDEVICE_OBJECT,
    irp: *mut IRP,
    irql: &mut Irql<L>,
) -> Result<(NonNull<Extension<T>>, NonNull<IRP>), NTSTATUS> {
    // SAFETY: promised by the caller.
    let (extension, irp) = unsafe { enter::<T>(device, irp) }?;
    // SAFETY: the device object exists for the time of the call.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: the IRP is owned.
    unsafe { admit(header, irp, irql) }?;
    Ok((extension, irp))
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

/// Completes an IRP for which no remove lock is held.
///
/// # Safety
/// The IRP must be at this driver and owned; the caller gives it up.
unsafe fn reject(irp: NonNull<IRP>, error: Error) -> NTSTATUS {
    // SAFETY: promised by the caller; dispatch routines are called at DISPATCH_LEVEL or below, with no lock of this driver held.
    unsafe { finish(irp, error.into()) };
    error.as_raw()
}
