//! Device interfaces: how applications find a device.

use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, UNICODE_STRING,
    ntddk::{IoRegisterDeviceInterface, IoSetDeviceInterfaceState, RtlFreeUnicodeString},
};

use crate::{
    guid::Guid,
    irql::{Irql, Passive},
    status::{Result, Status},
};

/// An instance of a device interface class, or none.
pub(crate) struct DeviceInterface(UNICODE_STRING);

impl DeviceInterface {
    /// No interface: enabling and freeing it does nothing.
    pub(crate) const fn none() -> Self {
        Self(UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: core::ptr::null_mut(),
        })
    }

    /// `IoRegisterDeviceInterface` without a reference string. The interface is disabled.
    pub(crate) fn register(pdo: NonNull<DEVICE_OBJECT>, class: &Guid, _irql: &mut Irql<Passive>) -> Result<Self> {
        let class = class.to_raw();
        let mut interface = Self::none();
        // SAFETY: the PDO is the one AddDevice was given; the GUID and the string are valid for the call, which allocates the
        // string's buffer.
        let status = unsafe {
            IoRegisterDeviceInterface(
                pdo.as_ptr(),
                &raw const class,
                core::ptr::null_mut(),
                &raw mut interface.0,
            )
        };
        Status::from_raw(status).into_result()?;
        Ok(interface)
    }

    /// `IoSetDeviceInterfaceState`. That it is in that state already is no failure.
    pub(crate) fn set_state(&mut self, enable: bool, _irql: &mut Irql<Passive>) -> Result<()> {
        if self.0.Buffer.is_null() {
            return Ok(());
        }
        // SAFETY: the string is the one that the registration returned.
        let status = Status::from_raw(unsafe { IoSetDeviceInterfaceState(&raw mut self.0, u8::from(enable)) });
        if status == Status::from_raw(wdk_sys::STATUS_OBJECT_NAME_EXISTS) {
            return Ok(());
        }
        status.into_result()
    }

    /// Gives back the name of the interface.
    pub(crate) fn free(&mut self, _irql: &mut Irql<Passive>) {
        if !self.0.Buffer.is_null() {
            // SAFETY: the buffer was allocated by the registration; the call clears the string, so it is freed once.
            unsafe { RtlFreeUnicodeString(&raw mut self.0) };
            *self = Self::none();
        }
    }
}
