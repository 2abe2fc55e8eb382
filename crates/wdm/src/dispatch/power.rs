//! `IRP_MJ_POWER`: a function driver that owns the power policy of its device.
//!
//! A request for a state of the *system* goes down first; on its way up a request for the state of the *device* is sent. If the system goes to sleep,
//! or asks whether it can, the first one is completed when the second one is. If it comes back to S0 the first one goes on at once, so that the system
//! does not wait for the device, whose requests stay held until it is in D0.
//!
//! A request for a state of the device goes to a work item, because the driver has to wait for what is in flight: on its way down if the device
//! leaves D0, on its way up if it comes back.
//!
//! See [Managing Device Power Policy](https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-device-power-policy),
//! [Handling a System Set-Power IRP in a Device Power Policy Owner](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-a-system-set-power-irp-in-a-device-power-policy-owner) and
//! [Handling IRP_MN_SET_POWER for Device Power States](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-irp-mn-set-power-for-device-power-states).

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    _POWER_STATE_TYPE::SystemPowerState,
    _SYSTEM_POWER_STATE::PowerSystemWorking,
    DEVICE_OBJECT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP, IRP_MN_QUERY_POWER, IRP_MN_SET_POWER, NTSTATUS,
    PDEVICE_OBJECT, POWER_STATE, PREQUEST_POWER_COMPLETE, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS, UCHAR,
    ntddk::{IofCompleteRequest, PoRequestPowerIrp},
};

use super::enter_admitted;
use crate::{
    device::{DeviceExtension, Extension, Header, PnpState, failure, lifecycle},
    irp::{
        Routine, complete, current_stack_location, mark_pending, pass_down, pass_down_with_routine, pass_on,
        set_status, status,
    },
    irql::{Irql, Passive, UpToDispatch},
    power::DevicePowerState,
    status::Status,
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
        Request::System(_) if ours => unsafe { system::<T>(header, irp) },
        // SAFETY: as above.
        Request::SetDevice(to) if ours => unsafe { set_device::<T>(header, irp, to, &mut irql) },
        // SAFETY: as above.
        _ => unsafe { pass_on(irp, header) }.as_raw(),
    }
}

/// What the power manager wants of a state of the system.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SystemRequest {
    /// `IRP_MN_QUERY_POWER`: a driver may refuse.
    Query,
    /// `IRP_MN_SET_POWER` for a sleeping state: no driver can fail it.
    Sleep,
    /// `IRP_MN_SET_POWER` for S0: no driver can fail it.
    Wake,
}

/// What a power request is about.
enum Request {
    /// To set, or to ask for, a state of the system.
    System(SystemRequest),
    /// To set a state of the device.
    SetDevice(DevicePowerState),
    /// Something that the driver has no part in. It could always honour a query for a state of the device, and needs not be asked.
    Other,
}

impl Request {
    /// # Safety
    /// The IRP must be a power request at this driver.
    unsafe fn of(irp: NonNull<IRP>) -> Self {
        // SAFETY: promised by the caller.
        let stack = unsafe { current_stack_location(irp) };
        let minor = u32::from(stack.MinorFunction);
        if minor != IRP_MN_SET_POWER && minor != IRP_MN_QUERY_POWER {
            return Self::Other;
        }
        // SAFETY: the minor function says which member of the union is in use.
        let power = unsafe { stack.Parameters.Power };
        if power.Type == SystemPowerState {
            // SAFETY: the type says which member of the union is in use.
            let working = unsafe { power.State.SystemState } == PowerSystemWorking;
            return Self::System(match (minor == IRP_MN_SET_POWER, working) {
                (false, _) => SystemRequest::Query,
                (true, false) => SystemRequest::Sleep,
                (true, true) => SystemRequest::Wake,
            });
        }
        // SAFETY: the type says which member of the union is in use.
        let to = DevicePowerState::from_raw(unsafe { power.State.DeviceState });
        match to {
            Some(to) if minor == IRP_MN_SET_POWER => Self::SetDevice(to),
            _ => Self::Other,
        }
    }
}

/// Whether there is hardware that the driver uses. Of a device that is not started, or gone, the requests belong to the lower drivers.
const fn is_working(state: PnpState) -> bool {
    matches!(
        state,
        PnpState::Started | PnpState::StopPending | PnpState::RemovePending
    )
}

/// Sends a request about the system down, to be gone on with by [`system_completed`].
///
/// # Safety
/// The IRP must be owned, with the remove lock of `header` acquired for it; the caller gives it up. The header must be that of an
/// `Extension<T>`.
unsafe fn system<T: DeviceExtension>(header: &Header, irp: NonNull<IRP>) -> NTSTATUS {
    // SAFETY: the IRP is owned.
    unsafe { mark_pending(irp) };
    // SAFETY: as above; the remove lock keeps the header.
    unsafe { send_down(header, irp, system_completed::<T>) };
    Status::PENDING.as_raw()
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
/// As [`query_device_state`], and as [`leave_to_work`] demands.
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
        unsafe { leave_to_work::<T>(header, irp, irql) };
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

/// A request for a state of the device: to be handled by [`work`], before the lower drivers take the power away, or after they have given it.
///
/// # Safety
/// As [`system`].
unsafe fn set_device<T: DeviceExtension>(
    header: &Header,
    irp: NonNull<IRP>,
    to: DevicePowerState,
    irql: &mut Irql<UpToDispatch>,
) -> NTSTATUS {
    // SAFETY: the IRP is owned.
    unsafe { mark_pending(irp) };
    if to == DevicePowerState::D0 {
        // SAFETY: the IRP is owned and pending, and the remove lock keeps the header.
        unsafe { send_down(header, irp, power_given::<T>) };
    } else {
        // SAFETY: the IRP is owned and pending.
        unsafe { leave_to_work::<T>(header, irp, irql) };
    }
    Status::PENDING.as_raw()
}

/// The lower drivers have set D0, or have failed to.
///
/// # Safety
/// To be called by the I/O manager only, with the header of an `Extension<T>` as context.
unsafe extern "C" fn power_given<T: DeviceExtension>(
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
    unsafe { leave_to_work::<T>(header, irp, &mut irql) };
    STATUS_MORE_PROCESSING_REQUIRED
}

/// # Safety
/// The IRP must be a set-power request, owned, pending, with the remove lock acquired for it; the caller gives it up. The header must be that of
/// an `Extension<T>`.
unsafe fn leave_to_work<T: DeviceExtension>(header: &Header, irp: NonNull<IRP>, irql: &mut Irql<UpToDispatch>) {
    let context = core::ptr::from_ref(header).cast_mut().cast();
    // SAFETY: promised by the caller; the remove lock keeps the header.
    unsafe { header.device_irps.put(irp, work::<T>, context, irql) };
}

/// The work item of [`leave_to_work`].
///
/// # Safety
/// To be called by the I/O manager only, with the header of an `Extension<T>` as context.
unsafe extern "C" fn work<T: DeviceExtension>(_device: PDEVICE_OBJECT, context: *mut c_void) {
    let Some(extension) = NonNull::new(context.cast::<Extension<T>>()) else {
        return;
    };
    // SAFETY: the I/O manager calls in a system thread, at PASSIVE_LEVEL.
    let mut irql = unsafe { Irql::<Passive>::assume() };
    // SAFETY: the remove lock, acquired for the request that the work item was queued for, keeps the extension.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: as above; AddDevice has initialised the value.
    let device: &T = unsafe { Extension::data(extension) };
    // SAFETY: this is the work item.
    let mut current = unsafe { header.device_irps.next() };
    while let Some(irp) = current {
        // SAFETY: the request is this work item's, with the remove lock.
        unsafe { handle(header, device, irp, &mut irql) };
        // The look at the list comes first: without the remove lock of a request the list may be gone.
        // SAFETY: this is the work item.
        current = unsafe { header.device_irps.next() };
        // SAFETY: acquired for the request, whose address serves as a tag only. Without a next one nothing of the device is used below.
        unsafe { header.remove_lock.release(irp.as_ptr().cast()) };
    }
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
