//! Where the hardware of a device is in its life, and whether requests may be started on it.
//!
//! PnP requests and power requests act on the same hardware from different threads. Each takes a lock over what it does, so that the driver's
//! methods are called one at a time, and in an order that makes sense:
//!
//! ```text
//! start ─► power_up ─► resume ─► hold ─► power_down ─► stop
//!             ▲                              │
//!             └──────── low power ───────────┘
//! ```

use super::{DeviceExtension, Header, PnpState, StopReason, teardown::disconnect_interrupts};
use crate::{
    irql::{Irql, Passive},
    power::DevicePowerState,
    resources::Resources,
    status::Result,
    wait_lock::WaitLock,
};

/// Why requests are held. They are started while there is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Hold {
    /// The device has no resources: it was never started, or is stopped.
    NotStarted = 1,
    /// The PnP manager has asked whether it can be stopped.
    StopPending = 2,
}

/// What the driver's methods have been called for.
struct Hardware {
    /// `start` has succeeded, and neither `stop` nor `surprise_removal` has been called since.
    acquired: bool,
    /// Of no meaning unless `acquired`.
    power: DevicePowerState,
    /// The [`Hold`]s there are.
    holds: u8,
}

/// The state of a device's hardware, under the lock that its changes are made under.
pub(crate) struct Lifecycle(WaitLock<Hardware>);

impl Lifecycle {
    /// Not started. Memory for the lock; [`initialize`](Self::initialize) makes it one.
    pub(super) fn new() -> Self {
        Self(WaitLock::new(Hardware {
            acquired: false,
            power: DevicePowerState::D3,
            holds: Hold::NotStarted as u8,
        }))
    }

    /// # Safety
    /// As [`WaitLock::initialize`].
    pub(super) unsafe fn initialize(&self) {
        // SAFETY: promised by the caller.
        unsafe { self.0.initialize() };
    }
}

impl Hardware {
    /// Adds a reason to hold requests; the first one holds them.
    fn hold<T: DeviceExtension>(&mut self, reason: Hold, device: &T, irql: &mut Irql<Passive>) {
        let was_held = self.holds != 0;
        self.holds |= reason as u8;
        if !was_held {
            device.hold(irql);
        }
    }

    /// Takes a reason away; with the last one requests are started again.
    fn release<T: DeviceExtension>(&mut self, reason: Hold, device: &T, irql: &mut Irql<Passive>) {
        let was_held = self.holds != 0;
        self.holds &= !(reason as u8);
        if was_held && self.holds == 0 {
            device.resume(irql);
        }
    }

    /// The end of what `start` has begun, whatever became of it.
    fn give_back<T: DeviceExtension>(
        &mut self,
        reason: StopReason,
        header: &Header,
        device: &T,
        irql: &mut Irql<Passive>,
    ) {
        self.acquired = false;
        self.holds = Hold::NotStarted as u8;
        device.stop(reason, irql);
        disconnect_interrupts(header, irql);
    }
}

/// `IRP_MN_START_DEVICE`, when the lower drivers have done it: the device is in D0.
pub(crate) fn start<T: DeviceExtension>(
    header: &Header,
    device: &T,
    resources: &Resources<'_>,
    irql: &mut Irql<Passive>,
) -> Result<()> {
    header.lifecycle.0.with(irql, |irql, hardware| {
        let started = device.start(resources, irql).and_then(|()| device.power_up(irql));
        if let Err(status) = started {
            hardware.give_back(StopReason::StartFailed, header, device, irql);
            return Err(status);
        }
        hardware.acquired = true;
        hardware.power = DevicePowerState::D0;
        header.set_state(PnpState::Started);
        hardware.release(Hold::NotStarted, device, irql);
        Ok(())
    })
}

/// `IRP_MN_QUERY_STOP_DEVICE`: nothing is started from now on.
pub(crate) fn query_stop<T: DeviceExtension>(header: &Header, device: &T, irql: &mut Irql<Passive>) {
    let hold = |irql: &mut Irql<Passive>, hardware: &mut Hardware| hardware.hold(Hold::StopPending, device, irql);
    header.lifecycle.0.with(irql, hold);
}

/// `IRP_MN_CANCEL_STOP_DEVICE`.
pub(crate) fn cancel_stop<T: DeviceExtension>(header: &Header, device: &T, irql: &mut Irql<Passive>) {
    let release = |irql: &mut Irql<Passive>, hardware: &mut Hardware| hardware.release(Hold::StopPending, device, irql);
    header.lifecycle.0.with(irql, release);
}

/// `IRP_MN_STOP_DEVICE`, or `IRP_MN_REMOVE_DEVICE` of a device that is there: gives everything back, if there is something.
pub(crate) fn stop<T: DeviceExtension>(header: &Header, device: &T, reason: StopReason, irql: &mut Irql<Passive>) {
    header.lifecycle.0.with(irql, |irql, hardware| {
        if !hardware.acquired {
            return;
        }
        hardware.hold(Hold::NotStarted, device, irql);
        if hardware.power == DevicePowerState::D0 {
            device.power_down(DevicePowerState::D3, irql);
        }
        hardware.give_back(reason, header, device, irql);
    });
}

/// `IRP_MN_SURPRISE_REMOVAL`: the device is gone, and nothing is called for it any more.
pub(crate) fn surprise_removal<T: DeviceExtension>(header: &Header, device: &T, irql: &mut Irql<Passive>) {
    header.lifecycle.0.with(irql, |irql, hardware| {
        hardware.acquired = false;
        hardware.holds |= Hold::NotStarted as u8;
        device.surprise_removal(irql);
        disconnect_interrupts(header, irql);
    });
}
