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

use super::{
    DeviceExtension, Header, PnpState, StopReason,
    teardown::{disconnect_interrupts, for_memory, free_common_buffers},
};
use crate::{
    device_memory::Mapping,
    error::Result,
    irql::{Irql, Passive},
    power::{DevicePowerState, report, report_d0},
    resources::Resources,
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
    /// It is not in D0.
    LowPower = 4,
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

    /// Holds requests for `reason`, and makes the device silent if it is in D0.
    ///
    /// A device that the system has said to be gone may be there still. So it is asked whether it is, and left alone if it does not answer. See
    /// [Handling an `IRP_MN_SURPRISE_REMOVAL` Request](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-an-irp-mn-surprise-removal-request).
    fn silence<T: DeviceExtension>(
        &mut self,
        reason: Hold,
        to: DevicePowerState,
        header: &Header,
        device: &T,
        irql: &mut Irql<Passive>,
    ) {
        let in_d0 = self.power == DevicePowerState::D0;
        if in_d0 && is_gone(header) && !device.is_present(irql) {
            self.holds |= reason as u8;
            return;
        }
        self.hold(reason, device, irql);
        if in_d0 {
            device.power_down(to, irql);
        }
    }

    /// Finishes what is in flight and holds the rest, unless the device is out of D0 already.
    fn leave_d0<T: DeviceExtension>(
        &mut self,
        to: DevicePowerState,
        header: &Header,
        device: &T,
        irql: &mut Irql<Passive>,
    ) {
        if !self.acquired {
            return;
        }
        if self.power == DevicePowerState::D0 {
            self.silence(Hold::LowPower, to, header, device, irql);
            put_memory_to_sleep(self, header, irql);
        }
        self.power = to;
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
        put_memory_to_sleep(self, header, irql);
        device.stop(reason, irql);
        release_hardware(self, header, irql);
        free_idle_buffers(header, device, irql);
    }
}

/// Has the device powered up. One that fails may interrupt by then: it is made silent while its registers can be reached, and counts as one in `left`
/// again.
fn try_power_up<T: DeviceExtension>(device: &T, left: DevicePowerState, irql: &mut Irql<Passive>) -> Result<()> {
    let outcome = device.power_up(irql);
    if outcome.is_err() {
        device.power_down(left, irql);
    }
    outcome
}

/// Nobody reaches a register from now on. Who has the hardware has the lock.
fn put_memory_to_sleep(_hardware: &mut Hardware, header: &Header, irql: &mut Irql<Passive>) {
    // SAFETY: the lock is held.
    unsafe { for_memory(header, Mapping::put_to_sleep, irql) };
}

/// Registers can be reached again.
fn wake_memory(_hardware: &mut Hardware, header: &Header, irql: &mut Irql<Passive>) {
    // SAFETY: the lock is held.
    unsafe { for_memory(header, Mapping::wake, irql) };
}

/// Gives back what the driver has left connected or mapped.
fn release_hardware(_hardware: &mut Hardware, header: &Header, irql: &mut Irql<Passive>) {
    disconnect_interrupts(header, irql);
    // SAFETY: the lock is held.
    unsafe { for_memory(header, Mapping::unmap, irql) };
}

/// Frees what the device has written to, if it is known not to do so any more.
pub(crate) fn free_idle_buffers<T: DeviceExtension>(header: &Header, device: &T, irql: &mut Irql<Passive>) {
    if device.dma_is_idle(irql) {
        free_common_buffers(header, irql);
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
        let started = device.start(resources, irql);
        let started = started.and_then(|()| try_power_up(device, DevicePowerState::D3, irql));
        if let Err(status) = started {
            hardware.give_back(StopReason::StartFailed, header, device, irql);
            return Err(status);
        }
        report_d0(header.device(), irql);
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

/// `IRP_MN_STOP_DEVICE`, `IRP_MN_START_DEVICE` of a started device, `IRP_MN_REMOVE_DEVICE` of one that is there, or a start that has failed after
/// [`start`]: gives everything back, if there is something. Whether there was.
pub(crate) fn stop<T: DeviceExtension>(
    header: &Header,
    device: &T,
    reason: StopReason,
    irql: &mut Irql<Passive>,
) -> bool {
    header.lifecycle.0.with(irql, |irql, hardware| {
        let acquired = hardware.acquired;
        if acquired {
            hardware.silence(Hold::NotStarted, DevicePowerState::D3, header, device, irql);
            hardware.give_back(reason, header, device, irql);
        }
        acquired
    })
}

/// `IRP_MN_SURPRISE_REMOVAL`: the device is gone, or to be given up. One that is there and in D0 is made silent first. Nothing else is called for it
/// any more.
pub(crate) fn surprise_removal<T: DeviceExtension>(header: &Header, device: &T, irql: &mut Irql<Passive>) {
    header.lifecycle.0.with(irql, |irql, hardware| {
        if hardware.acquired {
            hardware.silence(Hold::NotStarted, DevicePowerState::D3, header, device, irql);
        }
        hardware.acquired = false;
        hardware.holds |= Hold::NotStarted as u8;
        // Before the driver lets go, so that nothing can touch the device any more: not even an ISR that runs now.
        put_memory_to_sleep(hardware, header, irql);
        device.surprise_removal(irql);
        release_hardware(hardware, header, irql);
        // A program that has the device open keeps IRP_MN_REMOVE_DEVICE away, for as long as it likes.
        free_idle_buffers(header, device, irql);
    });
}

/// The device is about to leave D0, or a state between, for `to`.
pub(crate) fn power_down<T: DeviceExtension>(
    header: &Header,
    device: &T,
    to: DevicePowerState,
    irql: &mut Irql<Passive>,
) {
    header.lifecycle.0.with(irql, |irql, hardware| {
        hardware.leave_d0(to, header, device, irql);
        report(header.device(), to, irql);
    });
}

/// The system goes to sleep, and the device's state could not be set: it stays in D0, and may lose its power there. It is treated as one in D3
/// until [`power_up`], which restores what it has lost.
pub(crate) fn await_power_loss<T: DeviceExtension>(header: &Header, device: &T, irql: &mut Irql<Passive>) {
    header.lifecycle.0.with(irql, |irql, hardware| {
        hardware.leave_d0(DevicePowerState::D3, header, device, irql);
    });
}

/// The device is in D0 again.
///
/// # Errors
/// What `power_up` returns; requests stay held.
pub(crate) fn power_up<T: DeviceExtension>(header: &Header, device: &T, irql: &mut Irql<Passive>) -> Result<()> {
    header.lifecycle.0.with(irql, |irql, hardware| {
        let sleeps = hardware.acquired && !is_gone(header) && hardware.power != DevicePowerState::D0;
        let mut outcome = Ok(());
        if sleeps {
            wake_memory(hardware, header, irql);
            outcome = try_power_up(device, hardware.power, irql);
        }
        // Whether the device can be used or not: it has its power.
        report_d0(header.device(), irql);
        if !sleeps {
            return Ok(());
        }
        if outcome.is_err() {
            put_memory_to_sleep(hardware, header, irql);
        } else {
            hardware.power = DevicePowerState::D0;
            hardware.release(Hold::LowPower, device, irql);
        }
        outcome
    })
}

/// The system has sent a surprise removal, which may wait for the lock still: the device is gone, or about to be given up.
fn is_gone(header: &Header) -> bool {
    header.state() == PnpState::SurpriseRemoved
}
