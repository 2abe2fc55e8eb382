//! `AddDevice`.

use core::mem::{align_of, size_of};
use core::ptr::NonNull;

use edu::interface::GUID_DEVINTERFACE_EDU;
use wdk_sys::{
    DO_DEVICE_INITIALIZING, DO_POWER_PAGABLE, DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, GUID,
    NT_SUCCESS, NTSTATUS, PDEVICE_OBJECT, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS, ULONG,
    ntddk::{
        IoAttachDeviceToDeviceStack, IoCreateDevice, IoDeleteDevice, IoRegisterDeviceInterface, KeInitializeDpc,
        RtlFreeUnicodeString,
    },
};

use crate::{Device, TestDriver, device::Extension, interrupt::deferred};

/// Creates a device object on top of the device's stack.
///
/// # Safety
/// To be called by the PnP manager only.
pub(crate) unsafe extern "C" fn add_device<D: TestDriver>(driver: *mut DRIVER_OBJECT, pdo: PDEVICE_OBJECT) -> NTSTATUS {
    const {
        assert!(
            align_of::<Extension<D>>() <= 16,
            "a device extension is 16-byte aligned"
        );
        assert!(size_of::<Extension<D>>() < 0x8000, "DEVICE_OBJECT::Size has 16 bits");
    }
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let size = size_of::<Extension<D>>() as ULONG;
    let mut fdo: PDEVICE_OBJECT = core::ptr::null_mut();
    // SAFETY: the driver object is ours, a PnP device needs no name, and the result is a local variable.
    let status = unsafe {
        IoCreateDevice(
            driver,
            size,
            core::ptr::null_mut(),
            FILE_DEVICE_UNKNOWN,
            FILE_DEVICE_SECURE_OPEN,
            0,
            &raw mut fdo,
        )
    };
    if !NT_SUCCESS(status) {
        return status;
    }
    // SAFETY: the device object is new, with an extension of this driver's, and the PDO is the one to drive.
    let status = unsafe { initialize::<D>(fdo, pdo) };
    if !NT_SUCCESS(status) {
        // SAFETY: nothing is attached to it, and it was not attached to anything.
        unsafe { IoDeleteDevice(fdo) };
    }
    status
}

/// # Safety
/// `fdo` must be a new device object with an extension for `D`, and `pdo` the device's physical device object.
unsafe fn initialize<D: TestDriver>(fdo: PDEVICE_OBJECT, pdo: PDEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: promised by the caller.
    let device = unsafe { Device::<D>::of(fdo) };
    device.initialize_remove_lock();
    // SAFETY: the DPC lies in the extension, which is also its context.
    unsafe { KeInitializeDpc(device.dpc(), Some(deferred::<D>), device.extension().cast()) };
    let class = interface_class();
    // SAFETY: the PDO is the device's; the GUID and the string are valid for the call.
    let status = unsafe { IoRegisterDeviceInterface(pdo, &raw const class, core::ptr::null_mut(), device.interface()) };
    if !NT_SUCCESS(status) {
        return status;
    }
    // SAFETY: both are device objects that nobody deletes meanwhile.
    let lower = unsafe { IoAttachDeviceToDeviceStack(fdo, pdo) };
    let Some(lower) = NonNull::new(lower) else {
        // SAFETY: registered above.
        unsafe { RtlFreeUnicodeString(device.interface()) };
        return STATUS_NO_SUCH_DEVICE;
    };
    // SAFETY: nobody else uses the extension yet.
    unsafe { (*device.extension()).lower = lower.as_ptr() };
    // SAFETY: the lower device object is in our stack.
    let lower_flags = unsafe { lower.as_ref() }.Flags;
    // SAFETY: the device object is ours, and marked as initialising still.
    let fdo = unsafe { &mut *fdo };
    fdo.Flags |= lower_flags & DO_POWER_PAGABLE;
    D::adapt(fdo);
    fdo.Flags &= !DO_DEVICE_INITIALIZING;
    STATUS_SUCCESS
}

const fn interface_class() -> GUID {
    GUID {
        Data1: GUID_DEVINTERFACE_EDU.data1,
        Data2: GUID_DEVINTERFACE_EDU.data2,
        Data3: GUID_DEVINTERFACE_EDU.data3,
        Data4: GUID_DEVINTERFACE_EDU.data4,
    }
}
