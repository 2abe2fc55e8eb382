//! Power: the states of a device and of the system.
//!
//! The safe layer owns the power policy of its devices: it answers every change of the system's state with a change of the device's. What a
//! driver has to do is [`DeviceExtension::power_down`](crate::DeviceExtension::power_down) and
//! [`power_up`](crate::DeviceExtension::power_up).

mod device_irps;
mod state;

pub(crate) use device_irps::DeviceIrps;
pub use state::DevicePowerState;
pub(crate) use state::{DeviceStates, report, report_d0};
