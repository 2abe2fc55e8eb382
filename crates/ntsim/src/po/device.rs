//! What drivers say of their devices' power: `PoSetPowerState`.

use super::{PowerManager, notification, power_type, watchdog};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    bus::DevicePower,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    trace::Event,
};

/// `PowerDeviceUnspecified`.
const UNSPECIFIED: u32 = 0;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("PoSetPowerState", 3, contract, set_power_state);
}

/// `PoSetPowerState(DeviceObject, Type, State)`: the state that the driver reported before.
fn set_power_state(k: &Kernel, a: &Args) -> Outcome<u32> {
    let (device, kind, value) = (a.va(0), a.u32(1), a.u32(2));
    let power = DevicePower::from_value(value).filter(|_| kind == power_type::DEVICE);
    let Some(power) = power else {
        let message =
            format!("PoSetPowerState was given the type {kind} and the state {value}, which is no device power state");
        return Err(misreported(k, device, message));
    };
    let lowered = Contract::at_most(Irql::APC);
    if power != DevicePower::D0 && !lowered.allows(k.irql()) {
        k.verify(lowered.violation("PoSetPowerState", k.irql()))?;
    }
    let before = report(k, device, power);
    Ok(before.map_or(UNSPECIFIED, DevicePower::value))
}

/// Notes what the driver of `device` says of its power; what it said before.
pub(crate) fn report(k: &Kernel, device: Va, power: DevicePower) -> Option<DevicePower> {
    k.trace(Event::Detail(format!("device {device} is reported to be in {power}")));
    k.state::<PowerManager>().borrow_mut().reported.insert(device, power)
}

/// What the driver of `device` has said last.
pub(super) fn reported(k: &Kernel, device: Va) -> Option<DevicePower> {
    k.state::<PowerManager>().borrow().reported.get(&device).copied()
}

pub(super) fn misreported(k: &Kernel, device: Va, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::POWER_MISREPORTED.subcode, device.get(), 0, 0],
        "power-misreported",
        message,
    ))
}

/// The device object is being deleted.
///
/// # Errors
/// When its driver has a power IRP.
pub(crate) fn forget_device(k: &Kernel, device: Va) -> Outcome<()> {
    k.state::<PowerManager>().borrow_mut().reported.remove(&device);
    notification::device_gone(k, device)?;
    watchdog::check_idle(k, device)
}
