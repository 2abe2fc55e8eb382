//@ check-pass
//! Callbacks of one device run on several processors at a time: what they share must be made for that.
#![no_std]

use core::{cell::Cell, sync::atomic::AtomicU32};

use pinned_init::{PinInit, try_init};
use wdm::{DeviceExtension, DeviceInit, Error, Guid, Irql, Resources, Result, StopReason, irql::Passive};

/// A device without hardware.
pub struct Device<T> {
    pub runs: T,
}

impl DeviceExtension for Device<AtomicU32> {
    const INTERFACE: Option<Guid> = None;

    fn init(_device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_init!(Self { runs: Default::default() }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}
}
