//! `DriverEntry`.

use wdk_sys::{
    DRIVER_OBJECT, IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_PNP, IRP_MJ_POWER,
    IRP_MJ_READ, IRP_MJ_SYSTEM_CONTROL, IRP_MJ_WRITE, NTSTATUS, PDEVICE_OBJECT,
};

use crate::{
    device::{DeviceExtension, Filter, FilterDevice, Function, add_device},
    dispatch::{self, filter},
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

/// Makes the image a filter driver for devices: defines `DriverEntry`. The argument is a [`FilterDevice`](crate::FilterDevice), and its documentation has
/// an example.
#[macro_export]
macro_rules! filter_entry {
    ($filter:ty) => {
        /// Called by the system when it loads the driver.
        // SAFETY: the linker is told this name; no other symbol of a driver has it.
        #[unsafe(export_name = "DriverEntry")]
        unsafe extern "system" fn driver_entry(
            driver: *mut $crate::__private::DRIVER_OBJECT,
            _registry_path: *const $crate::__private::UNICODE_STRING,
        ) -> $crate::__private::NTSTATUS {
            // Out here, where what the caller wrote is safe code.
            type DriverEntryFilter = $filter;
            // SAFETY: the system calls with the driver object that it made for this image.
            unsafe { $crate::__private::load_filter::<DriverEntryFilter>(driver) }
        }
    };
}

/// Fills in the driver object of a function driver.
///
/// # Safety
/// `driver` must be the driver object that `DriverEntry` was called with.
#[doc(hidden)]
pub unsafe fn load<T: DeviceExtension>(driver: *mut DRIVER_OBJECT) -> NTSTATUS {
    let routines = Routines {
        add_device: add_device::<Function<T>>,
        other_request: dispatch::other_request::<T>,
        major: [
            (IRP_MJ_CREATE, dispatch::create::<T>),
            (IRP_MJ_CLEANUP, dispatch::cleanup::<T>),
            (IRP_MJ_CLOSE, dispatch::close::<T>),
            (IRP_MJ_READ, dispatch::read::<T>),
            (IRP_MJ_WRITE, dispatch::write::<T>),
            (IRP_MJ_DEVICE_CONTROL, dispatch::device_control::<T>),
            (IRP_MJ_PNP, dispatch::pnp::<T>),
            (IRP_MJ_POWER, dispatch::power::<T>),
            (IRP_MJ_SYSTEM_CONTROL, dispatch::system_control::<T>),
        ],
    };
    // SAFETY: promised by the caller.
    unsafe { fill_in(driver, &routines) }
}

/// Fills in the driver object of a filter driver.
///
/// # Safety
/// As [`load`].
#[doc(hidden)]
pub unsafe fn load_filter<T: FilterDevice>(driver: *mut DRIVER_OBJECT) -> NTSTATUS {
    let routines = Routines {
        add_device: add_device::<Filter<T>>,
        other_request: filter::other_request::<T>,
        major: [
            (IRP_MJ_CREATE, filter::create::<T>),
            (IRP_MJ_CLEANUP, filter::cleanup::<T>),
            (IRP_MJ_CLOSE, filter::close::<T>),
            (IRP_MJ_READ, filter::read::<T>),
            (IRP_MJ_WRITE, filter::write::<T>),
            (IRP_MJ_DEVICE_CONTROL, filter::device_control::<T>),
            (IRP_MJ_PNP, filter::pnp::<T>),
            (IRP_MJ_POWER, filter::power::<T>),
            (IRP_MJ_SYSTEM_CONTROL, filter::system_control::<T>),
        ],
    };
    // SAFETY: promised by the caller.
    unsafe { fill_in(driver, &routines) }
}

/// A `DRIVER_DISPATCH` routine.
type Dispatch = unsafe extern "C" fn(PDEVICE_OBJECT, *mut IRP) -> NTSTATUS;

/// The routines of a driver for its devices.
struct Routines {
    add_device: unsafe extern "C" fn(*mut DRIVER_OBJECT, PDEVICE_OBJECT) -> NTSTATUS,
    /// For every major function that is not in `major`.
    other_request: Dispatch,
    major: [(u32, Dispatch); 9],
}

/// # Safety
/// As [`load`]; the routines must fit each other.
unsafe fn fill_in(driver: *mut DRIVER_OBJECT, routines: &Routines) -> NTSTATUS {
    // SAFETY: promised by the caller; until DriverEntry returns nobody else uses the driver object.
    let Some(driver) = (unsafe { driver.as_mut() }) else {
        return Error::INVALID_PARAMETER.as_raw();
    };
    // SAFETY: a driver object has an extension.
    let Some(extension) = (unsafe { driver.DriverExtension.as_mut() }) else {
        return Error::INVALID_PARAMETER.as_raw();
    };
    extension.AddDevice = Some(routines.add_device);
    driver.DriverUnload = Some(unload);
    driver.DriverStartIo = Some(start_io);
    driver.MajorFunction.fill(Some(routines.other_request));
    for (major, routine) in routines.major {
        if let Some(slot) = driver.MajorFunction.get_mut(major as usize) {
            *slot = Some(routine);
        }
    }
    Status::SUCCESS.as_raw()
}

/// The system unloads a PnP driver when its last device is gone, and with it everything the driver had. A driver without this routine
/// cannot be unloaded.
///
/// # Safety
/// To be called by the system only.
unsafe extern "C" fn unload(_driver: *mut DRIVER_OBJECT) {}
