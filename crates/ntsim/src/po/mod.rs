//! The power manager: power IRPs for the system and for devices, and what a driver must do with them.
//!
//! A scenario has the system sleep, wake up or shut down: see [`sleep`], [`wake`], [`shut_down`]. What a device itself goes through is the bus'
//! business.

mod device;
mod irp;
mod notification;
mod request;
mod state;
mod system;

mod watchdog;

pub(crate) use device::{forget_device, report};
pub(crate) use notification::leftovers;
pub(crate) use request::is_unsent;
pub use state::SystemState;
pub(crate) use state::{Minor, power_type};
pub use system::{Refusal, shut_down, sleep, sleep_at_once, state, wake};

use std::collections::BTreeMap;

use state::Action;

use crate::{
    bus::DevicePower,
    ddi::{Contract, Registry},
    io,
    ke::Irql,
    mm::Va,
};

/// What the power manager knows.
#[derive(Debug, Default)]
struct PowerManager {
    /// The state that the system is in, or on the way to.
    system: SystemState,
    /// What the system is doing, while it goes to a state and until it is back.
    action: Action,
    /// What drivers have said of their devices' power, by device object.
    reported: BTreeMap<Va, DevicePower>,
    /// The device power IRPs of each device, by physical device object.
    requests: BTreeMap<Va, request::Queue>,
    watchdog: watchdog::Watchdog,
}

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    device::register(ddi);
    notification::register(ddi);
    request::register(ddi);
    let contract = Contract::at_most(Irql::DISPATCH);
    // Since Windows Vista the same as IoCallDriver, and the power manager no longer waits for PoStartNextPowerIrp.
    ddi.flow("PoCallDriver", 2, contract, |k, a| async move {
        io::call_driver(&k, a.va(0), a.va(1)).await
    });
    ddi.function("PoStartNextPowerIrp", 1, contract, |_, _| Ok(()));
}
