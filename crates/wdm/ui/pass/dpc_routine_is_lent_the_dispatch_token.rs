//@ check-pass
//! A DPC runs at DISPATCH_LEVEL: its routine does not ask for another token.
#![no_std]

use pinned_init::{PinInit, try_init};
use wdm::{DeviceExtension, DeviceInit, DpcRoutine, Error, Guid, Irql, Resources, Result, StopReason, irql::{Dispatch, Passive}};

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

/// A DPC's routine.
pub enum Deferred {}

impl DpcRoutine for Deferred {
    type Device = Device;
    type SystemArgument1 = ();
    type SystemArgument2 = ();

    fn run(_device: &Device, (): (), (): (), irql: &mut Irql<Dispatch>) {
        let _ = irql;
    }
}

pub fn kept(_irql: &mut Irql<Dispatch>) {}
