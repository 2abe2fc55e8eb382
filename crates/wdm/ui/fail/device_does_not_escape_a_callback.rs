//! The device is lent to a callback: a reference to it cannot be kept, because the device can be removed.
#![no_std]

use pinned_init::{PinInit, try_init};
use wdm::{DeviceExtension, DeviceInit, DpcRoutine, Error, Guid, Irql, Resources, Result, SpinLock, StopReason, irql::{Dispatch, Passive}};

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

static LAST: SpinLock<Option<&'static Device>> = SpinLock::new(None);

/// A DPC's routine.
pub enum Deferred {}

impl DpcRoutine for Deferred {
    type Device = Device;
    type SystemArgument1 = ();
    type SystemArgument2 = ();

    fn run(device: &Device, (): (), (): (), irql: &mut Irql<Dispatch>) {
        LAST.with(irql, |_, last| *last = Some(device)); //~ E0521
    }
}
