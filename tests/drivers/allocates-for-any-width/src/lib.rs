//! A driver that starts its device if there is a common buffer for one that drives as many address bits as the value [`ADDRESS_WIDTH`] of the device's
//! hardware key says. Nothing in here is wrong.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CommonBuffer, DeviceDescription, DeviceExtension, DeviceInit, Error, Guid, HardwareKey, Irql, Resources, Result,
    StopReason, UnicodeString, irql::Passive, unicode_string,
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Device);

/// The name of a `REG_DWORD`.
const ADDRESS_WIDTH: UnicodeString<'static> = unicode_string!("AddressWidth");

const LENGTH: u32 = 4096;

/// What the driver keeps for its device.
#[pin_data]
pub struct Device {
    #[pin]
    key: HardwareKey,
    #[pin]
    buffer: CommonBuffer,
}

impl DeviceExtension for Device {
    const INTERFACE: Option<Guid> = None;

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            key <- HardwareKey::new(device),
            buffer <- CommonBuffer::new(device),
        }? Error)
    }

    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let width = self.key.dword(ADDRESS_WIDTH, resources, irql)?;
        let description = DeviceDescription {
            address_width: u8::try_from(width).map_err(|_| Error::INVALID_PARAMETER)?,
            maximum_length: LENGTH,
            scatter_gather: false,
        };
        self.buffer.allocate(resources, description, LENGTH, irql).map(|_| ())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}
}
