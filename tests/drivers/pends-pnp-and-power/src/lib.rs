//! A filter that returns `STATUS_PENDING` for every PnP and every power request, and passes it on from a work item, a while later.
//!
//! It breaks no rule: drivers above it, and those below, have to live with that. What it is for is what others get wrong: whoever passes
//! `IRP_MN_REMOVE_DEVICE` down and takes `STATUS_PENDING` for "handled below".
#![no_std]

mod add_device;
mod dispatch;
mod later;

use test_driver_common::stack_location;
use wdk_sys::{
    DRIVER_OBJECT, IO_REMOVE_LOCK, IRP_MJ_PNP, IRP_MJ_POWER, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_SUCCESS,
    UNICODE_STRING,
};

/// The device extension. `IoCreateDevice` zeroes it.
#[repr(C)]
struct Extension {
    /// The next-lower device object.
    lower: PDEVICE_OBJECT,
    /// Held by every request that is at this driver.
    remove_lock: IO_REMOVE_LOCK,
}

/// The extension of a device object of this driver.
///
/// # Safety
/// `device` must be a device object that `AddDevice` created, and exist.
const unsafe fn extension(device: PDEVICE_OBJECT) -> *mut Extension {
    // SAFETY: promised by the caller.
    unsafe { (*device).DeviceExtension }.cast()
}

/// The device object below.
///
/// # Safety
/// As for [`extension`].
const unsafe fn lower(device: PDEVICE_OBJECT) -> PDEVICE_OBJECT {
    // SAFETY: promised by the caller.
    let extension = unsafe { extension(device) };
    // SAFETY: the extension is as old as the device object; AddDevice has written the field.
    unsafe { (*extension).lower }
}

/// The device's remove lock.
///
/// # Safety
/// As for [`extension`].
const unsafe fn remove_lock(device: PDEVICE_OBJECT) -> *mut IO_REMOVE_LOCK {
    // SAFETY: promised by the caller.
    let extension = unsafe { extension(device) };
    // SAFETY: only an address is computed, within the extension.
    unsafe { &raw mut (*extension).remove_lock }
}

/// The major and minor function of a request.
///
/// # Safety
/// The IRP must be at this driver.
unsafe fn functions(irp: PIRP) -> (u32, u32) {
    // SAFETY: promised by the caller.
    let location = unsafe { stack_location(irp) };
    // SAFETY: an IRP at a driver has a current stack location.
    let location = unsafe { &*location };
    (location.MajorFunction.into(), location.MinorFunction.into())
}

/// Called by the system when it loads the driver.
// SAFETY: the linker is told this name; no other symbol of a driver has it.
#[unsafe(export_name = "DriverEntry")]
unsafe extern "system" fn driver_entry(driver: *mut DRIVER_OBJECT, _registry_path: *const UNICODE_STRING) -> NTSTATUS {
    // SAFETY: the system calls with the driver object that it made for this image; nobody else uses it until this returns.
    let driver = unsafe { &mut *driver };
    // SAFETY: a driver object has an extension.
    let extension = unsafe { &mut *driver.DriverExtension };
    extension.AddDevice = Some(add_device::add_device);
    driver.DriverUnload = Some(unload);
    driver.MajorFunction = [Some(dispatch::pass_on); 28];
    driver.MajorFunction[IRP_MJ_PNP as usize] = Some(dispatch::pend);
    driver.MajorFunction[IRP_MJ_POWER as usize] = Some(dispatch::pend);
    STATUS_SUCCESS
}

/// Nothing is left to undo when the last device is gone.
///
/// # Safety
/// To be called by the system only.
unsafe extern "C" fn unload(_driver: *mut DRIVER_OBJECT) {}
