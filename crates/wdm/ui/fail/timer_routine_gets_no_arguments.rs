//! The arguments of a timer's DPC are not used: its routine gets none.
#![no_std]

use pinned_init::{PinInit, try_init};
use wdm::{DeviceExtension, DeviceInit, Error, Guid, Irql, Resources, Result, StopReason, TimerRoutine, irql::{Dispatch, Passive}};

/// A device without hardware.
pub struct Device {
    pub runs: u32,
}

impl DeviceExtension for Device {
    const INTERFACE: Option<Guid> = None;

    fn init(_device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_init!(Self { runs: 0 }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}
}

/// Runs when the time is up.
pub enum TimeIsUp {}

impl TimerRoutine for TimeIsUp {
    type Device = Device;

    fn run(_device: &Device, _argument1: u64, irql: &mut Irql<Dispatch>) { //~ E0050
        let _ = irql;
    }
}
