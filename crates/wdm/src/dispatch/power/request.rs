//! What a power request asks for.

use core::ptr::NonNull;

use wdk_sys::{
    _POWER_STATE_TYPE::SystemPowerState, _SYSTEM_POWER_STATE::PowerSystemWorking, IRP, IRP_MN_QUERY_POWER,
    IRP_MN_SET_POWER, POWER_ACTION::PowerActionHibernate,
};

use crate::{irp::current_stack_location, power::DevicePowerState};

/// What the power manager wants of a state of the system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemRequest {
    /// `IRP_MN_QUERY_POWER`: a driver may refuse.
    Query,
    /// `IRP_MN_SET_POWER` for a sleeping state: no driver can fail it.
    Sleep,
    /// `IRP_MN_SET_POWER` for S0: no driver can fail it.
    Wake,
}

/// What a power request is about.
pub(super) enum Request {
    /// To set, or to ask for, a state of the system.
    System(SystemRequest),
    /// To set a state of the device.
    SetDevice(DevicePowerState),
    /// Something that the driver has no part in. It could always honour a query for a state of the device, and needs not be asked.
    Other,
}

impl Request {
    /// Whether it is part of a hibernation: `ShutdownType` is `PowerActionHibernate`.
    ///
    /// # Safety
    /// As [`of`](Self::of).
    pub(super) unsafe fn is_of_hibernation(irp: NonNull<IRP>) -> bool {
        // SAFETY: promised by the caller.
        let stack = unsafe { current_stack_location(irp) };
        // SAFETY: a power request has this member of the union in use.
        unsafe { stack.Parameters.Power }.ShutdownType == PowerActionHibernate
    }

    /// # Safety
    /// The IRP must be a power request at this driver.
    pub(super) unsafe fn of(irp: NonNull<IRP>) -> Self {
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
