//! `AddDevice` of a filter.

use core::{mem::size_of, ptr::null_mut};

use test_driver_common::remove_lock;
use wdk_sys::{
    DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, DO_POWER_INRUSH, DO_POWER_PAGABLE, DRIVER_OBJECT, NT_SUCCESS,
    NTSTATUS, PDEVICE_OBJECT, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS, ULONG,
    ntddk::{IoAttachDeviceToDeviceStack, IoCreateDevice, IoDeleteDevice},
};

use crate::{Extension, extension};

#[expect(clippy::cast_possible_truncation, reason = "two fields of some dozen bytes")]
const EXTENSION_SIZE: ULONG = size_of::<Extension>() as ULONG;
/// What a filter has as the device below has it.
const INHERITED: ULONG = DO_BUFFERED_IO | DO_DIRECT_IO | DO_POWER_INRUSH | DO_POWER_PAGABLE;

/// Puts a device object on top of the device's stack.
///
/// # Safety
/// To be called by the PnP manager only.
pub(crate) unsafe extern "C" fn add_device(driver: *mut DRIVER_OBJECT, pdo: PDEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: the physical device object exists, and nobody changes its type.
    let device_type = unsafe { (*pdo).DeviceType };
    // SAFETY: as above.
    let characteristics = unsafe { (*pdo).Characteristics };
    let mut filter: PDEVICE_OBJECT = null_mut();
    // SAFETY: the driver object is ours, a filter needs no name, and the result is a local variable.
    let status = unsafe {
        IoCreateDevice(
            driver,
            EXTENSION_SIZE,
            null_mut(),
            device_type,
            characteristics,
            0,
            &raw mut filter,
        )
    };
    if !NT_SUCCESS(status) {
        return status;
    }
    // SAFETY: the device object is new, with an extension of this driver's.
    let extension = unsafe { extension(filter) };
    // SAFETY: nobody else uses the extension yet; zeroes are a value of its type.
    let extension = unsafe { &mut *extension };
    // SAFETY: nobody else uses the extension yet.
    unsafe { remove_lock::initialize(&raw mut extension.remove_lock) };
    // SAFETY: both are device objects that nobody deletes meanwhile.
    let lower = unsafe { IoAttachDeviceToDeviceStack(filter, pdo) };
    if lower.is_null() {
        // SAFETY: nothing is attached to it, and it was not attached to anything.
        unsafe { IoDeleteDevice(filter) };
        return STATUS_NO_SUCH_DEVICE;
    }
    extension.lower = lower;
    // SAFETY: the lower device object is in our stack.
    let lower_flags = unsafe { (*lower).Flags };
    // SAFETY: the device object is ours, and marked as initialising still.
    let flags = unsafe { &mut (*filter).Flags };
    *flags |= lower_flags & INHERITED;
    *flags &= !DO_DEVICE_INITIALIZING;
    STATUS_SUCCESS
}
