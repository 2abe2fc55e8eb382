//@ check-pass
//! The argument of a DPC stands in a pointer's place: one that is wider is an error of the driver's compilation.
#![no_std]

use pinned_init::{PinInit, try_init};
use wdm::{DeviceExtension, DeviceInit, Error, Guid, Irql, Resources, Result, StopReason, CustomDpc, DpcRoutine, irql::{Dispatch, Passive}};

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

/// A DPC's routine that wants more than a pointer holds.
pub enum Wide {}

impl DpcRoutine for Wide {
    type Device = Device;
    type SystemArgument1 = [u32; 3];
    type SystemArgument2 = ();

    fn run(_device: &Device, _argument1: [u32; 3], (): (), _irql: &mut Irql<Dispatch>) {}
}

/// A DPC's routine that does not.
pub enum Narrow {}

impl DpcRoutine for Narrow {
    type Device = Device;
    type SystemArgument1 = [u32; 2];
    type SystemArgument2 = ();

    fn run(_device: &Device, _argument1: [u32; 2], (): (), _irql: &mut Irql<Dispatch>) {}
}

pub fn queue(wide: &CustomDpc<Wide>, narrow: &CustomDpc<Narrow>) -> bool {
    let _ = (wide, narrow);
    narrow.queue([0; 2], ())
}
