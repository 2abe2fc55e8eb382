//! `IRP_MJ_POWER`.

mod device;
pub(super) mod filter;
mod request;
mod system;

use core::ffi::c_void;
use core::ptr::NonNull;

use request::Request;
use wdk_sys::{DEVICE_OBJECT, IRP, NTSTATUS, PDEVICE_OBJECT};

use super::enter_admitted;
use crate::{
    device::{DeviceExtension, Extension, Header, PnpState},
    irp::{Routine, complete, pass_down_with_routine, pass_on},
    irql::{Irql, Passive, UpToDispatch},
};

/// `IRP_MJ_POWER`. Since Windows Vista such a request is passed down by `IoCallDriver`, as any other, and the next one needs not be asked for.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn power<T: DeviceExtension>(device: PDEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
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
    let request = unsafe { Request::of(irp) };
    let ours = is_working(header.state());
    match request {
        // SAFETY: the IRP is owned, and has the remove lock.
        Request::System(_) if ours => unsafe { system::system::<T>(header, irp) },
        // SAFETY: as above.
        Request::SetDevice(to) => unsafe { device::set_device::<T>(header, irp, to, &mut irql) },
        // SAFETY: as above.
        _ => unsafe { pass_on(irp, header) }.as_raw(),
    }
}

/// Whether there is hardware that the driver uses. Of a device that is not started, or gone, the requests belong to the lower drivers.
const fn is_working(state: PnpState) -> bool {
    matches!(
        state,
        PnpState::Started | PnpState::StopPending | PnpState::RemovePending
    )
}

/// Sends a request down, to be gone on with by `routine`, which gets the header as context.
///
/// # Safety
/// The IRP must be a power request, owned and pending, with the remove lock of `header` acquired for it; the caller gives it up. The routine must be
/// one for such a request of the header's device.
unsafe fn send_down(
    header: &Header,
    irp: NonNull<IRP>,
    routine: unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS,
) {
    let routine = Routine::that_must_go(routine, core::ptr::from_ref(header).cast_mut().cast());
    // SAFETY: promised by the caller; the remove lock keeps the header until the routine gives it back.
    if let Err(error) = unsafe { pass_down_with_routine(irp, header, routine) } {
        // The device is being removed.
        // SAFETY: the IRP was not sent: it is owned still, and given up.
        unsafe { complete(irp, NonNull::from(header), error.into(), 0) };
    }
}

/// Has `handle` take the requests that were left to a work item, one after the other, and gives their remove locks back.
///
/// # Safety
/// To be called by the work item of `header.device_irps`, for which a request with the remove lock is in the list. `handle` gets an IRP that is
/// owned and pending, with the remove lock, which it keeps; it gives the IRP up.
unsafe fn work_off(
    header: &Header,
    irql: &mut Irql<Passive>,
    mut handle: impl FnMut(NonNull<IRP>, &mut Irql<Passive>),
) {
    // SAFETY: this is the work item.
    let mut current = unsafe { header.device_irps.next() };
    while let Some(irp) = current {
        handle(irp, irql);
        // The look at the list comes first: without the remove lock of a request the list may be gone.
        // SAFETY: this is the work item.
        current = unsafe { header.device_irps.next() };
        // SAFETY: acquired for the request, whose address serves as a tag only. Without a next one nothing of the device is used below.
        unsafe { header.remove_lock.release(irp.as_ptr().cast()) };
    }
}
