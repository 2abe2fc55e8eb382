//@ check-pass
//! What state its device is in the function driver says.
#![no_std]

use wdm::{DeviceInit, FilterDevice};

pub fn init<F: FilterDevice>(device: &DeviceInit<'_, F>) {
    let _ = wdm::LowerDevice::new(device);
    //
}
