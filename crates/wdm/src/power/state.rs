//! Power states.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::{
    _DEVICE_POWER_STATE as device, _POWER_STATE_TYPE as POWER_STATE_TYPE, _SYSTEM_POWER_STATE::PowerSystemWorking,
    DEVICE_CAPABILITIES, DEVICE_OBJECT, DEVICE_POWER_STATE, POWER_STATE, SYSTEM_POWER_STATE, ntddk::PoSetPowerState,
};

use crate::irql::{AtMostDispatch, Irql, Passive};

/// A device power state: how much power the device has.
///
/// See [Device Power States](https://learn.microsoft.com/windows-hardware/drivers/kernel/device-power-states).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DevicePowerState {
    /// It works.
    D0,
    /// It does not work; the bus says what it keeps.
    D1,
    /// As D1, with less power or a longer way back.
    D2,
    /// It has no power, or may have none: all its context is lost.
    D3,
}

impl DevicePowerState {
    /// The state with this value; `None` for what is none.
    pub(crate) const fn from_raw(raw: DEVICE_POWER_STATE) -> Option<Self> {
        match raw {
            device::PowerDeviceD0 => Some(Self::D0),
            device::PowerDeviceD1 => Some(Self::D1),
            device::PowerDeviceD2 => Some(Self::D2),
            device::PowerDeviceD3 => Some(Self::D3),
            _ => None,
        }
    }

    pub(crate) const fn as_raw(self) -> DEVICE_POWER_STATE {
        match self {
            Self::D0 => device::PowerDeviceD0,
            Self::D1 => device::PowerDeviceD1,
            Self::D2 => device::PowerDeviceD2,
            Self::D3 => device::PowerDeviceD3,
        }
    }
}

/// The device power state for each system power state: `DeviceState` of `DEVICE_CAPABILITIES`, as the bus driver and those above have answered.
///
/// Those are the states with the most power that the bus allows; a device that needs not wake the system has no reason to take less, and none
/// to take more. See [DeviceState](https://learn.microsoft.com/windows-hardware/drivers/kernel/devicestate).
pub(crate) struct DeviceStates([AtomicU32; SYSTEM_STATES]);

/// `POWER_SYSTEM_MAXIMUM`: from `PowerSystemUnspecified` to `PowerSystemShutdown`.
const SYSTEM_STATES: usize = 7;

impl DeviceStates {
    /// Nothing is known.
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; SYSTEM_STATES])
    }

    /// Takes the answer to `IRP_MN_QUERY_CAPABILITIES`.
    pub(crate) fn learn(&self, capabilities: &DEVICE_CAPABILITIES) {
        for (known, state) in self.0.iter().zip(capabilities.DeviceState) {
            #[allow(
                clippy::cast_sign_loss,
                clippy::unnecessary_cast,
                reason = "an enumeration is signed in some kits, unsigned in others"
            )]
            known.store(state as u32, Ordering::Relaxed);
        }
    }

    /// The state of the device while the system is in the state `system`. D3 where nothing is known: it is allowed in every state of the
    /// system but the working one.
    pub(crate) fn while_in(&self, system: SYSTEM_POWER_STATE) -> DevicePowerState {
        if system == PowerSystemWorking {
            return DevicePowerState::D0;
        }
        let known = usize::try_from(system).ok().and_then(|system| self.0.get(system));
        #[allow(
            clippy::cast_possible_wrap,
            clippy::unnecessary_cast,
            reason = "an enumeration is signed in some kits, unsigned in others"
        )]
        let known = known.map(|state| state.load(Ordering::Relaxed) as DEVICE_POWER_STATE);
        known
            .and_then(DevicePowerState::from_raw)
            .unwrap_or(DevicePowerState::D3)
    }
}

/// `PoSetPowerState`: what the driver has made of the device. It tells the power manager, and changes nothing by itself. Each driver of a stack tells
/// it of its own device object.
///
/// To be called before the device leaves D0, and after it has come back ([`report_d0`]).
///
/// See [PoSetPowerState](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-posetpowerstate).
pub(crate) fn report(device: NonNull<DEVICE_OBJECT>, state: DevicePowerState, _irql: &mut Irql<Passive>) {
    // SAFETY: the device object is this driver's; PASSIVE_LEVEL, as the token proves.
    unsafe { set_power_state(device, state) };
}

/// As [`report`], for a device that is in D0 again: this can be said at `DISPATCH_LEVEL` too.
pub(crate) fn report_d0<L: AtMostDispatch>(device: NonNull<DEVICE_OBJECT>, _irql: &mut Irql<L>) {
    // SAFETY: the device object is this driver's; at most DISPATCH_LEVEL, as the token proves, and D0.
    unsafe { set_power_state(device, DevicePowerState::D0) };
}

/// # Safety
/// The device object must be this driver's. At most `APC_LEVEL`, or `DISPATCH_LEVEL` for D0.
unsafe fn set_power_state(device: NonNull<DEVICE_OBJECT>, state: DevicePowerState) {
    let state = POWER_STATE {
        DeviceState: state.as_raw(),
    };
    // SAFETY: promised by the caller. What the state was before is of no interest.
    let _ = unsafe { PoSetPowerState(device.as_ptr(), POWER_STATE_TYPE::DevicePowerState, state) };
}
