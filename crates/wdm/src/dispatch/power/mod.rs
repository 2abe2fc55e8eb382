//! `IRP_MJ_POWER`.

mod device;
pub(super) mod filter;
mod request;
mod system;

use core::ptr::NonNull;

use request::Request;
use wdk_sys::{IRP, NTSTATUS, PDEVICE_OBJECT};

use super::enter_admitted;
use crate::{
    device::{DeviceExtension, Extension, Header, PnpState},
    irp::{IoCompletionRoutine, Routine, complete, mark_pending, pass_down_with_routine, pass_on},
    irql::{Irql, Passive, UpToDispatch},
    power::DevicePowerState,
    status::Status,
    work_item::WorkItemRoutine,
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
        Request::SetDevice(to) => unsafe {
            set_device(header, irp, to, device::power_given::<T>, device::work::<T>, &mut irql)
        },
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

/// Begins a request that sets the state of the device. D0 goes down first, and `given` is called when the lower drivers have set it; any other state is
/// left to a work item, `leaves_d0`, which runs before the lower drivers see the request. Both get the header as context.
///
/// `PoSetPowerState` may be called at `DISPATCH_LEVEL`, where this may run, for D0 only.
///
/// # Safety
/// The IRP must be such a request, owned, with the remove lock of `header` acquired for it; the caller gives it up. The routines must be ones for
/// such a request of the header's device.
unsafe fn set_device(
    header: &Header,
    irp: NonNull<IRP>,
    to: DevicePowerState,
    given: IoCompletionRoutine,
    leaves_d0: WorkItemRoutine,
    irql: &mut Irql<UpToDispatch>,
) -> NTSTATUS {
    // SAFETY: the IRP is owned.
    unsafe { mark_pending(irp) };
    if to == DevicePowerState::D0 {
        // SAFETY: the IRP is owned and pending; the rest is promised by the caller.
        unsafe { send_down(header, irp, given) };
    } else {
        // SAFETY: as above.
        unsafe { leave_to_work_item(header, irp, leaves_d0, irql) };
    }
    Status::PENDING.as_raw()
}

/// Leaves a request to the work item `routine`, which gets the header as context.
///
/// # Safety
/// The IRP must be a power request, owned and pending, with the remove lock of `header` acquired for it; the caller gives it up. The routine must be
/// one for such a request of the header's device.
unsafe fn leave_to_work_item(
    header: &Header,
    irp: NonNull<IRP>,
    routine: WorkItemRoutine,
    irql: &mut Irql<UpToDispatch>,
) {
    let context = core::ptr::from_ref(header).cast_mut().cast();
    // SAFETY: promised by the caller; the remove lock keeps the header.
    unsafe { header.device_irps.put(irp, routine, context, irql) };
}

/// Sends a request down. `routine` is called when the lower drivers are done with it, and gets the header as context.
///
/// # Safety
/// The IRP must be a power request, owned and pending, with the remove lock of `header` acquired for it; the caller gives it up. The routine must be
/// one for such a request of the header's device.
unsafe fn send_down(header: &Header, irp: NonNull<IRP>, routine: IoCompletionRoutine) {
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
