//@ check-pass
//! Every byte of a DPC's argument is written on purpose: a type with padding is none.
#![no_std]

use pinned_init::{PinInit, try_init};
use wdm::{DeviceExtension, DeviceInit, Error, Guid, Irql, Resources, Result, StopReason, DpcRoutine, irql::{Dispatch, Passive}};
use zerocopy::{FromBytes, Immutable, IntoBytes};

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

/// One byte, and three that nobody writes.
#[derive(Clone, Copy)]
pub struct Padded {
    pub kind: u8,
    pub value: u32,
}

/// No byte that nobody writes.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Packed {
    pub kind: u32,
    pub value: u32,
}

/// A DPC's routine.
pub enum Deferred {}

impl DpcRoutine for Deferred {
    type Device = Device;
    type SystemArgument1 = ();
    type SystemArgument2 = Packed;
    //
    //

    fn run(_device: &Device, (): (), _argument2: Self::SystemArgument2, _irql: &mut Irql<Dispatch>) {}
}

pub fn both(_padded: Padded, _packed: Packed) {}
