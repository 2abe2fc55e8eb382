//! The DPC runs later: its argument is no reference, which could be gone by then.
#![no_std]

use pinned_init::{PinInit, try_init};
use wdm::{DeviceExtension, DeviceInit, Error, Guid, Irql, Resources, Result, StopReason, DpcRoutine, irql::{Dispatch, Passive}};

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
    type SystemArgument1 = &'static u32; //~ E0277
    //~^ E0277
    type SystemArgument2 = ();

    fn run(_device: &Device, _argument1: Self::SystemArgument1, (): (), _irql: &mut Irql<Dispatch>) {}
}
