//@ error-in-other-file: the state of an ISR is plain data
//@ error-in-other-file: erroneous constant encountered
//! Nobody drops what the ISR works on: a value that does something when dropped is an error of the driver's compilation.
#![no_std]

use pinned_init::{PinInit, try_init};
use wdm::{Claim, DeviceExtension, DeviceInit, Error, Guid, Interrupt, InterruptResource, InterruptService, Irql, Resources, Result, StopReason, irql::{Dirql, Passive}};

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

/// Does something when dropped.
#[derive(Default)]
pub struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {}
}

/// An ISR that works on a `T`.
pub struct Isr<T>(T);

impl<T: Send + 'static> InterruptService for Isr<T> {
    type Device = Device;
    type State = T;

    fn service(_device: &Device, _state: &mut T, _irql: &mut Irql<Dirql>) -> Claim {
        Claim::NotOurs
    }
}

pub fn connect(
    plain: &Interrupt<Isr<u32>>,
    dropped: &Interrupt<Isr<Dropped>>,
    resource: &InterruptResource<'_>,
    irql: &mut Irql<Passive>,
) -> Result<()> {
    let _ = (plain, dropped);
    dropped.connect(resource, Default::default(), irql) //~ NOTE: encountered while instantiating
}
