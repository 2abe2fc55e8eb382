//! `AddDevice`: a device object for a device that the bus driver has found.

use core::any::TypeId;
use core::mem::{align_of, size_of};
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, NTSTATUS,
    PDEVICE_OBJECT, ULONG,
    ntddk::{IoCreateDevice, IoDeleteDevice, IoDetachDevice},
};

use super::{
    DeviceInit, Extension, Header,
    role::{Appearance, Role},
    teardown::end,
};
use crate::{
    device_interface::DeviceInterface,
    error::{Error, Result},
    irql::{Irql, Passive},
    status::Status,
};

/// The driver's `AddDevice` routine.
///
/// # Safety
/// To be called by the PnP manager only.
pub(crate) unsafe extern "C" fn add_device<R: Role>(driver: *mut DRIVER_OBJECT, pdo: PDEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: the PnP manager calls AddDevice at PASSIVE_LEVEL.
    let mut irql = unsafe { Irql::<Passive>::assume() };
    let Some(pdo) = NonNull::new(pdo) else {
        return Error::INVALID_PARAMETER.as_raw();
    };
    // SAFETY: both come from the PnP manager.
    match unsafe { create::<R>(driver, pdo, &mut irql) } {
        Ok(()) => Status::SUCCESS.as_raw(),
        Err(status) => status.as_raw(),
    }
}

/// # Safety
/// `driver` must be this driver's object and `pdo` a physical device object that it is to drive.
unsafe fn create<R: Role>(
    driver: *mut DRIVER_OBJECT,
    pdo: NonNull<DEVICE_OBJECT>,
    irql: &mut Irql<Passive>,
) -> Result<()> {
    // The I/O manager aligns an extension as pool is aligned.
    const {
        assert!(
            align_of::<Extension<R::Data>>() <= 16,
            "a device extension is 16-byte aligned"
        );
        assert!(
            size_of::<Extension<R::Data>>() < 0x8000,
            "DEVICE_OBJECT::Size has 16 bits"
        );
    }
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let size = size_of::<Extension<R::Data>>() as ULONG;

    let mut device: PDEVICE_OBJECT = core::ptr::null_mut();
    // SAFETY: the driver object is ours, a PnP device needs no name, and the result is a local variable.
    let status = unsafe {
        IoCreateDevice(
            driver,
            size,
            core::ptr::null_mut(),
            FILE_DEVICE_UNKNOWN,
            FILE_DEVICE_SECURE_OPEN,
            0,
            &raw mut device,
        )
    };
    Status::from_raw(status).into_result()?;
    let device = NonNull::new(device).ok_or(Error::INSUFFICIENT_RESOURCES)?;

    // SAFETY: the device object was created above with an extension of this size, zeroed and not yet used.
    let result = unsafe { initialize::<R>(device, pdo, irql) };
    if result.is_err() {
        // SAFETY: nothing is attached and no other reference was made: DO_DEVICE_INITIALIZING is set still.
        unsafe { IoDeleteDevice(device.as_ptr()) };
    }
    result
}

/// # Safety
/// `device` must be a new device object with the extension's size.
unsafe fn initialize<R: Role>(
    device: NonNull<DEVICE_OBJECT>,
    pdo: NonNull<DEVICE_OBJECT>,
    irql: &mut Irql<Passive>,
) -> Result<()> {
    // SAFETY: the device object is valid.
    let memory = unsafe { (*device.as_ptr()).DeviceExtension };
    let extension = NonNull::new(memory.cast::<Extension<R::Data>>()).ok_or(Error::INSUFFICIENT_RESOURCES)?;
    let new = Header::new(TypeId::of::<R::Data>(), device, pdo);
    // SAFETY: the extension begins with a header, which nobody uses yet.
    unsafe { extension.cast().write(new) };
    // SAFETY: just written.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: the header lies in the extension and the lock is used for the first time.
    unsafe { header.remove_lock.initialize(irql) };
    // SAFETY: as above.
    unsafe { header.lifecycle.initialize() };
    // SAFETY: as above.
    unsafe { header.special_files.initialize() };
    // SAFETY: as above, and the device object is that of the extension.
    unsafe { header.device_irps.initialize(device, irql) }?;

    let mut is_initialised = false;
    // SAFETY: promised by the caller, and the header is complete.
    let result = unsafe { initialize_value::<R>(extension, header, &mut is_initialised, irql) };
    if result.is_err() {
        // SAFETY: nobody else has seen the device: it is in no stack.
        unsafe { end(extension, is_initialised, irql) };
    }
    result
}

/// # Safety
/// `extension` must be that of a new device object, with an initialised `header` and the value still to be made.
unsafe fn initialize_value<R: Role>(
    extension: NonNull<Extension<R::Data>>,
    header: &Header,
    is_initialised: &mut bool,
    irql: &mut Irql<Passive>,
) -> Result<()> {
    header.cleanups.reserve(irql)?;
    let device = header.device();
    // SAFETY: no reference is made.
    let slot = unsafe { Extension::data_slot(extension) };
    let init = DeviceInit::new(extension);
    let initializer = R::init(&init);
    // SAFETY: the slot is valid, unused, and stays where it is until the value in it is dropped.
    unsafe { initializer.__pinned_init(slot) }?;
    *is_initialised = true;

    register::<R>(header, irql)?;
    // A request may come before the next call returns.
    header.set_open(true);
    // SAFETY: the device object is this driver's, and the physical one that it is to drive.
    let lower = unsafe { header.lower.attach(device, header.pdo(), irql) }?;

    // SAFETY: the lower device object is in our stack.
    let below = unsafe { Appearance::of(lower) };
    // SAFETY: the device object is ours, and still marked as initialising.
    unsafe { R::appearance(below).give_to(device) };
    // SAFETY: as above.
    unsafe { (*device.as_ptr()).Flags &= !DO_DEVICE_INITIALIZING };
    Ok(())
}

/// Registers the device interface, if there is one.
fn register<R: Role>(header: &Header, irql: &mut Irql<Passive>) -> Result<()> {
    // SAFETY: AddDevice has the extension for itself.
    let interface = unsafe { &mut *header.interface.get() };
    if let Some(class) = R::INTERFACE {
        *interface = DeviceInterface::register(header.pdo(), &class, irql)?;
    }
    Ok(())
}

/// Takes the device out of its stack and deletes it.
///
/// # Safety
/// The extension must have been torn down; nothing of it may be used afterwards.
pub(super) unsafe fn delete(
    device: NonNull<DEVICE_OBJECT>,
    lower: Option<NonNull<DEVICE_OBJECT>>,
    _irql: &mut Irql<Passive>,
) {
    if let Some(lower) = lower {
        // SAFETY: we attached to it, which keeps it in existence, even if its driver has deleted it in `IRP_MN_REMOVE_DEVICE`.
        unsafe { IoDetachDevice(lower.as_ptr()) };
    }
    // SAFETY: the caller gives the device up.
    unsafe { IoDeleteDevice(device.as_ptr()) };
}
