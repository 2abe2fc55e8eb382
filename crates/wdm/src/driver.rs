//! `DriverEntry`.

use wdk_sys::{
    DRIVER_OBJECT, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_PNP, IRP_MJ_POWER,
    IRP_MJ_READ, IRP_MJ_SYSTEM_CONTROL, IRP_MJ_WRITE, NTSTATUS,
};

use crate::{
    device::{DeviceExtension, add_device},
    dispatch,
    error::Error,
    queue::start_io,
    status::Status,
};

/// Makes the image a driver for devices of the given type: defines `DriverEntry`.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// wdm::driver_entry!(Device);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! driver_entry {
    ($device:ty) => {
        /// Called by the system when it loads the driver.
        // SAFETY: the linker is told this name; no other symbol of a driver has it.
        #[unsafe(export_name = "DriverEntry")]
        unsafe extern "system" fn driver_entry(
            driver: *mut $crate::__private::DRIVER_OBJECT,
            _registry_path: *const $crate::__private::UNICODE_STRING,
        ) -> $crate::__private::NTSTATUS {
            // Out here, where what the caller wrote is safe code.
            type DriverEntryExtension = $device;
            // SAFETY: the system calls with the driver object that it made for this image.
            unsafe { $crate::__private::load::<DriverEntryExtension>(driver) }
        }
    };
}

/// Fills in the driver object.
///
/// # Safety
/// `driver` must be the driver object that `DriverEntry` was called with.
#[doc(hidden)]
pub unsafe fn load<T: DeviceExtension>(driver: *mut DRIVER_OBJECT) -> NTSTATUS {
    // SAFETY: promised by the caller; until DriverEntry returns nobody else uses the driver object.
    let Some(driver) = (unsafe { driver.as_mut() }) else {
        return Error::INVALID_PARAMETER.as_raw();
    };
    // SAFETY: a driver object has an extension.
    let Some(extension) = (unsafe { driver.DriverExtension.as_mut() }) else {
        return Error::INVALID_PARAMETER.as_raw();
    };
    extension.AddDevice = Some(add_device::<T>);
    driver.DriverUnload = Some(unload);
    driver.DriverStartIo = Some(start_io);
    driver.MajorFunction.fill(Some(dispatch::other_request::<T>));
    driver.MajorFunction[IRP_MJ_CREATE as usize] = Some(dispatch::create::<T>);
    driver.MajorFunction[IRP_MJ_CLEANUP as usize] = Some(dispatch::cleanup::<T>);
    driver.MajorFunction[IRP_MJ_CLOSE as usize] = Some(dispatch::close::<T>);
    driver.MajorFunction[IRP_MJ_READ as usize] = Some(dispatch::read::<T>);
    driver.MajorFunction[IRP_MJ_WRITE as usize] = Some(dispatch::write::<T>);
    driver.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(dispatch::device_control::<T>);
    driver.MajorFunction[IRP_MJ_PNP as usize] = Some(dispatch::pnp::<T>);
    driver.MajorFunction[IRP_MJ_POWER as usize] = Some(dispatch::power::<T>);
    driver.MajorFunction[IRP_MJ_SYSTEM_CONTROL as usize] = Some(dispatch::system_control::<T>);
    Status::SUCCESS.as_raw()
}

/// The system unloads a PnP driver when its last device is gone, and with it everything the driver had. A driver without this routine
/// cannot be unloaded.
///
/// # Safety
/// To be called by the system only.
unsafe extern "C" fn unload(_driver: *mut DRIVER_OBJECT) {}
