//! `DriverEntry`.

use wdk_sys::{
    DRIVER_OBJECT, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_PNP, IRP_MJ_POWER,
    IRP_MJ_SYSTEM_CONTROL, NTSTATUS, STATUS_SUCCESS,
};

use crate::{TestDriver, add_device::add_device, dispatch, pnp};

/// Makes the image the given [`TestDriver`]: defines `DriverEntry`.
#[macro_export]
macro_rules! driver_entry {
    ($driver:ty) => {
        /// Called by the system when it loads the driver.
        // SAFETY: the linker is told this name; no other symbol of a driver has it.
        #[unsafe(export_name = "DriverEntry")]
        unsafe extern "system" fn driver_entry(
            driver: *mut $crate::__private::DRIVER_OBJECT,
            _registry_path: *const $crate::__private::UNICODE_STRING,
        ) -> $crate::__private::NTSTATUS {
            // SAFETY: the system calls with the driver object that it made for this image.
            unsafe { $crate::__private::load::<$driver>(driver) }
        }
    };
}

/// Fills in the driver object.
///
/// # Safety
/// `driver` must be the driver object that `DriverEntry` was called with.
#[doc(hidden)]
pub unsafe fn load<D: TestDriver>(driver: *mut DRIVER_OBJECT) -> NTSTATUS {
    // SAFETY: promised by the caller; until DriverEntry returns nobody else uses the driver object.
    let driver = unsafe { &mut *driver };
    // SAFETY: a driver object has an extension.
    let extension = unsafe { &mut *driver.DriverExtension };
    extension.AddDevice = Some(add_device::<D>);
    driver.DriverUnload = Some(unload);
    driver.MajorFunction[IRP_MJ_CREATE as usize] = Some(dispatch::succeed);
    driver.MajorFunction[IRP_MJ_CLEANUP as usize] = Some(dispatch::succeed);
    driver.MajorFunction[IRP_MJ_CLOSE as usize] = Some(dispatch::succeed);
    driver.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(dispatch::device_control::<D>);
    driver.MajorFunction[IRP_MJ_PNP as usize] = Some(pnp::pnp::<D>);
    driver.MajorFunction[IRP_MJ_POWER as usize] = Some(dispatch::pass_down::<D>);
    driver.MajorFunction[IRP_MJ_SYSTEM_CONTROL as usize] = Some(dispatch::pass_down::<D>);
    D::routines(driver);
    STATUS_SUCCESS
}

/// Nothing is left to undo when the last device is gone; a driver without this routine cannot be unloaded.
///
/// # Safety
/// To be called by the system only.
unsafe extern "C" fn unload(_driver: *mut DRIVER_OBJECT) {}
