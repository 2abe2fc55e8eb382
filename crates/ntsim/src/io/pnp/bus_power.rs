//! Power IRPs at the bottom of a device's stack: the bus driver switches the device.

use ntlayout::io_stack_location as stack;

use super::manager::with_node;
use crate::{
    bugcheck::Outcome,
    bus::DevicePower,
    io::irp::IoStatus,
    kernel::Kernel,
    mm::Va,
    po::{self, Minor, power_type},
    status::NtStatus,
    trace::Event,
};

/// What the bus driver answers to a power IRP.
pub(super) fn answer(k: &Kernel, pdo: Va, location: Va, minor: Minor, before: IoStatus) -> Outcome<IoStatus> {
    let kind: u32 = k.read(location + stack::POWER_TYPE)?;
    let value: u32 = k.read(location + stack::POWER_STATE)?;
    let device = kind == power_type::DEVICE;
    let status = match minor {
        Minor::SET_POWER if device => set(k, pdo, DevicePower::from_value(value)),
        Minor::QUERY_POWER if device => supported(DevicePower::from_value(value)),
        Minor::SET_POWER | Minor::QUERY_POWER => NtStatus::SUCCESS,
        // No device here wakes the system.
        _ => before.status,
    };
    Ok(IoStatus { status, ..before })
}

fn supported(power: Option<DevicePower>) -> NtStatus {
    match power {
        Some(DevicePower::D0 | DevicePower::D3) => NtStatus::SUCCESS,
        _ => NtStatus::INVALID_DEVICE_REQUEST,
    }
}

fn set(k: &Kernel, pdo: Va, power: Option<DevicePower>) -> NtStatus {
    match power {
        Some(DevicePower::D0) => power_up(k, pdo),
        Some(DevicePower::D3) => {
            power_down(k, pdo);
            NtStatus::SUCCESS
        }
        _ => NtStatus::INVALID_DEVICE_REQUEST,
    }
}

/// Puts the device into D0 and writes back its configuration; fails when it is no longer there.
pub(super) fn power_up(k: &Kernel, pdo: Va) -> NtStatus {
    let saved = with_node(k, pdo, |node| node.saved_config.take());
    if let Some(slot) = super::slot(k, pdo) {
        let mut bus = k.bus().borrow_mut();
        let function = bus.function_mut(slot);
        if !function.present() {
            return NtStatus::NO_SUCH_DEVICE;
        }
        function.set_power(DevicePower::D0);
        if let Some(saved) = saved {
            function.restore(saved);
        }
    }
    note(k, pdo, DevicePower::D0);
    NtStatus::SUCCESS
}

fn power_down(k: &Kernel, pdo: Va) {
    let saved = super::slot(k, pdo).and_then(|slot| {
        let mut bus = k.bus().borrow_mut();
        let function = bus.function_mut(slot);
        let on = function.power() == DevicePower::D0;
        let saved = on.then(|| function.config().clone());
        function.set_power(DevicePower::D3);
        saved
    });
    if saved.is_some() {
        with_node(k, pdo, |node| node.saved_config = saved);
    }
    note(k, pdo, DevicePower::D3);
}

/// Stops the device from answering, whatever power it has, until it is started again: at `IRP_MN_STOP_DEVICE`.
pub(super) fn disable(k: &Kernel, pdo: Va) {
    with_node(k, pdo, |node| node.saved_config = None);
    if let Some(slot) = super::slot(k, pdo) {
        k.bus().borrow_mut().function_mut(slot).set_enabled(false);
    }
}

/// Cuts the device off and, on a bus that can, takes its power: "Removing a Device in a Bus Driver", "Powering Down a Device".
///
/// It neither answers nor interrupts from now on, and its DMA is lost, until it is started again.
pub(super) fn cut_off(k: &Kernel, pdo: Va) {
    with_node(k, pdo, |node| node.saved_config = None);
    let Some(slot) = super::slot(k, pdo) else {
        return;
    };
    let off = {
        let mut bus = k.bus().borrow_mut();
        let function = bus.function_mut(slot);
        function.give_up();
        let off = function.present() && k.config().bus.cuts_power;
        if off {
            function.set_power(DevicePower::D3);
        }
        off
    };
    if off {
        note(k, pdo, DevicePower::D3);
    }
}

fn note(k: &Kernel, pdo: Va, power: DevicePower) {
    let before = po::report(k, pdo, power);
    if before.is_some_and(|before| before != power) {
        let number = super::device_number(k, pdo);
        k.trace(Event::Note(format!("device {number} is in {power}")));
    }
}
