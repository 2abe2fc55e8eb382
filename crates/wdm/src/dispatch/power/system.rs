//! Power requests about the state of the system, at the driver that owns the power policy of its device.
//!
//! Such a request goes down first; on its way up a request for the state of the device is sent. If the system goes to sleep, or asks whether it can,
//! the first one is completed when the second one is. If it comes back to S0 the first one goes on at once, so that the system does not wait for the
//! device, whose requests stay held until it is in D0.
//!
//! See [Managing Device Power Policy](https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-device-power-policy) and
//! [Handling a System Set-Power IRP in a Device Power Policy Owner](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-a-system-set-power-irp-in-a-device-power-policy-owner).

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, IRP_MN_SET_POWER, NTSTATUS, POWER_STATE,
    PREQUEST_POWER_COMPLETE, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS, UCHAR, ntddk::PoRequestPowerIrp,
};

use super::{
    device::work,
    leave_to_work_item,
    request::{Request, SystemRequest},
    send_down,
};
use crate::{
    device::{DeviceExtension, Header, failure},
    irp::{complete, current_stack_location, mark_pending, set_status, status},
    irql::{Irql, UpToDispatch},
    status::Status,
};

/// Sends a request about the system down, to be gone on with by [`system_completed`].
///
/// # Safety
/// The IRP must be owned, with the remove lock of `header` acquired for it; the caller gives it up. The header must be that of an
/// `Extension<T>`.
pub(super) unsafe fn system<T: DeviceExtension>(header: &Header, irp: NonNull<IRP>) -> NTSTATUS {
    // SAFETY: the IRP is owned.
    unsafe { mark_pending(irp) };
    // SAFETY: as above; the remove lock keeps the header.
    unsafe { send_down(header, irp, system_completed::<T>) };
    Status::PENDING.as_raw()
}

/// The lower drivers are done with a request about the system: now for the state of the device that goes with it. If they refuse what the system only
/// asks for there is none; a state that it sets nobody can refuse.
///
/// # Safety
/// To be called by the I/O manager only, with the header of an `Extension<T>` as context.
unsafe extern "C" fn system_completed<T: DeviceExtension>(
    _device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    context: *mut c_void,
) -> NTSTATUS {
    let (Some(irp), Some(header)) = (NonNull::new(irp), NonNull::new(context.cast::<Header>())) else {
        return STATUS_SUCCESS;
    };
    // SAFETY: the remove lock keeps the header.
    let header = unsafe { header.as_ref() };
    // SAFETY: the I/O manager calls completion routines at DISPATCH_LEVEL or below.
    let mut irql = unsafe { Irql::<UpToDispatch>::assume() };
    // SAFETY: the IRP is at this driver again.
    let below = unsafe { status(irp) };
    // SAFETY: as above.
    let goes_on = match unsafe { Request::of(irp) } {
        // SAFETY: the IRP is at this driver again, a request about the system that is owned.
        Request::System(SystemRequest::Query) if below.is_success() => unsafe { query_device_state(header, irp) },
        // SAFETY: as above; it is pending.
        Request::System(SystemRequest::Sleep) => unsafe { sleep_device::<T>(header, irp, &mut irql) },
        Request::System(SystemRequest::Wake) => {
            // SAFETY: as above.
            unsafe { wake_device(header, irp, &mut irql) };
            GoesOn::Yes
        }
        _ => GoesOn::Yes,
    };
    if goes_on == GoesOn::Later {
        // The IRP belongs to somebody else, and may be gone by now.
        return STATUS_MORE_PROCESSING_REQUIRED;
    }
    // SAFETY: acquired for the IRP, whose address serves as a tag only. Nothing of the device is used below.
    unsafe { header.remove_lock.release(irp.as_ptr().cast()) };
    STATUS_SUCCESS
}

/// Whether a request about the system goes on to the drivers above.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    Yes,
    /// It was given up, to somebody who completes it.
    Later,
}

/// The system asks whether it can go to sleep: so the device's drivers are asked whether the device can.
///
/// # Safety
/// As [`request_device_state`], to which the caller gives the IRP up if the answer is [`GoesOn::Later`].
unsafe fn query_device_state(header: &Header, irp: NonNull<IRP>) -> GoesOn {
    // SAFETY: promised by the caller; the routine takes a request about the system as context.
    let outcome = unsafe { request_device_state(header, irp, Some(device_state_set), irp.as_ptr().cast()) };
    if outcome == Status::PENDING {
        return GoesOn::Later;
    }
    // SAFETY: nobody else got the IRP. A query may be refused.
    unsafe { set_status(irp, outcome, 0) };
    GoesOn::Yes
}

/// The system goes to sleep, and the device with it. The system waits for that.
///
/// # Safety
/// As [`query_device_state`], and as [`leave_to_work_item`] demands.
unsafe fn sleep_device<T: DeviceExtension>(
    header: &Header,
    irp: NonNull<IRP>,
    irql: &mut Irql<UpToDispatch>,
) -> GoesOn {
    // SAFETY: promised by the caller; the routine takes a request about the system as context.
    let outcome = unsafe { request_device_state(header, irp, Some(device_state_set), irp.as_ptr().cast()) };
    if outcome != Status::PENDING {
        // The work item cares for the device, without a request for its state.
        // SAFETY: nobody else got the IRP, which is at this driver again, and pending.
        unsafe { leave_to_work_item(header, irp, work::<T>, irql) };
    }
    GoesOn::Later
}

/// The system is back in S0, and the device is to come back to D0. The system does not wait for that. Nothing of the driver is called at the end: what
/// has to be done when the device is in D0 is done while its request is here ([`power_given`]).
///
/// # Safety
/// As [`request_device_state`]. The caller keeps the IRP.
unsafe fn wake_device(header: &Header, irp: NonNull<IRP>, irql: &mut Irql<UpToDispatch>) {
    // SAFETY: promised by the caller; without a routine the context is not used.
    let outcome = unsafe { request_device_state(header, irp, None, core::ptr::null_mut()) };
    if outcome != Status::PENDING {
        // Without D0 the device stays out of use. Restarting it, as after a failure, is the way back.
        failure::report(header, irql);
    }
}

/// `PoRequestPowerIrp` for the state of the device that goes with what `irp` says of the system: set it, or ask for it. It must be sent even if
/// the device is in that state. `STATUS_PENDING` says that it was sent, and that `completed`, if any, is or was called with `context`.
///
/// # Safety
/// `irp` must be a request about the system at this driver, owned; `completed` must fit `context`, which the caller gives up to it if the answer is
/// `STATUS_PENDING`.
unsafe fn request_device_state(
    header: &Header,
    irp: NonNull<IRP>,
    completed: PREQUEST_POWER_COMPLETE,
    context: *mut c_void,
) -> Status {
    // SAFETY: promised by the caller.
    let stack: &IO_STACK_LOCATION = unsafe { current_stack_location(irp) };
    // SAFETY: the request says which member of the union is in use.
    let power = unsafe { stack.Parameters.Power };
    // SAFETY: as above.
    let system = unsafe { power.State.SystemState };
    let state = POWER_STATE {
        DeviceState: header.device_states.while_in(system).as_raw(),
    };
    let requested = header.lower.call(|_| {
        // SAFETY: the bus driver has not handled IRP_MN_REMOVE_DEVICE, so its device object exists; `completed` fits `context`. At most
        // DISPATCH_LEVEL, as every completion routine.
        let status = unsafe {
            PoRequestPowerIrp(
                header.pdo().as_ptr(),
                stack.MinorFunction,
                state,
                completed,
                context,
                core::ptr::null_mut(),
            )
        };
        Status::from_raw(status)
    });
    requested.unwrap_or_else(Status::from)
}

/// All drivers are done with the request for the state of the device. A query about the system has its outcome; a system set-power request
/// succeeds, since no driver can fail it.
///
/// The remove lock is given back before this returns into the image. Nothing keeps the image for a power manager's callback as
/// `IoSetCompletionRoutineEx` keeps it for a completion routine; a work item in between would not either, since this returns after it is queued. What
/// keeps the device is that the system has begun to go to sleep: that is synchronised with the PnP manager
/// ([bug check 0x9F](https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-0x9f--driver-power-state-failure), parameter 4), and
/// the device is sent to S0 again, and has answered, before any device is removed.
///
/// # Safety
/// To be called by the power manager only, with a request about the system as context that this driver owns.
unsafe extern "C" fn device_state_set(
    _device: *mut DEVICE_OBJECT,
    minor: UCHAR,
    _state: POWER_STATE,
    context: *mut c_void,
    outcome: *mut IO_STATUS_BLOCK,
) {
    let Some(irp) = NonNull::new(context.cast::<IRP>()) else {
        return;
    };
    // SAFETY: the power manager passes the status of the request that it has completed.
    let outcome = unsafe { (*outcome).__bindgen_anon_1 };
    // SAFETY: every bit pattern is a status, and a completed request has this member of the union in use.
    let mut outcome = Status::from_raw(unsafe { outcome.Status });
    if u32::from(minor) == IRP_MN_SET_POWER {
        outcome = Status::SUCCESS;
    }
    // SAFETY: the IRP is at this driver, in the stack location of its device object.
    let device = unsafe { current_stack_location(irp) }.DeviceObject;
    // SAFETY: the remove lock, acquired for the IRP, keeps the device object, which is one of this driver.
    let header = unsafe { (*device).DeviceExtension }.cast::<Header>();
    if let Some(header) = NonNull::new(header) {
        // SAFETY: the IRP is owned and given up; the power manager calls at DISPATCH_LEVEL or below, with no lock held.
        unsafe { complete(irp, header, outcome, 0) };
    }
}
