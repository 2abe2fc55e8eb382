//! Device interfaces: how applications find a device.

use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, UNICODE_STRING,
    ntddk::{IoRegisterDeviceInterface, IoSetDeviceInterfaceState, RtlFreeUnicodeString},
};

use crate::{
    error::Result,
    guid::Guid,
    irql::{Irql, Passive},
    status::Status,
    unicode_string::UnicodeString,
};

/// An instance of a device interface class, by its name; or none.
///
/// The system has allocated the name, for this value alone: until [`free`](Self::free) gives it back.
pub(crate) struct DeviceInterface {
    name: Option<UnicodeString<'static>>,
    enabled: bool,
}

impl DeviceInterface {
    /// No interface: enabling and freeing it does nothing.
    pub(crate) const fn none() -> Self {
        Self {
            name: None,
            enabled: false,
        }
    }

    /// `IoRegisterDeviceInterface` without a reference string. The interface is disabled.
    pub(crate) fn register(pdo: NonNull<DEVICE_OBJECT>, class: &Guid, _irql: &mut Irql<Passive>) -> Result<Self> {
        let class = class.to_raw();
        let mut name = UNICODE_STRING::default();
        // SAFETY: the PDO is the one AddDevice was given; the GUID and the string are valid for the call, which allocates the
        // string's buffer.
        let status =
            unsafe { IoRegisterDeviceInterface(pdo.as_ptr(), &raw const class, core::ptr::null_mut(), &raw mut name) };
        Status::from_raw(status).into_result()?;
        // SAFETY: the call has filled in the string; its buffer stays until it is freed, and is only read until then.
        let name = Some(unsafe { UnicodeString::from_raw(&name) });
        Ok(Self { name, enabled: false })
    }

    /// `IoSetDeviceInterfaceState`, unless it is in that state: what surprise removal has disabled must not be disabled again by removal. See
    /// [IoSetDeviceInterfaceState](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetdeviceinterfacestate).
    pub(crate) fn set_state(&mut self, enable: bool, _irql: &mut Irql<Passive>) -> Result<()> {
        let Some(name) = self.name.as_ref().filter(|_| self.enabled != enable) else {
            return Ok(());
        };
        // SAFETY: the string is the one that the registration returned.
        let status = Status::from_raw(unsafe { IoSetDeviceInterfaceState(name.as_raw(), u8::from(enable)) });
        if status != Status::from_raw(wdk_sys::STATUS_OBJECT_NAME_EXISTS) {
            status.into_result()?;
        }
        self.enabled = enable;
        Ok(())
    }

    /// Gives back the name of the interface.
    pub(crate) fn free(&mut self, _irql: &mut Irql<Passive>) {
        if let Some(name) = self.name.take() {
            let mut name = name.into_raw();
            // SAFETY: the buffer was allocated by the registration, and taken out of its only place.
            unsafe { RtlFreeUnicodeString(&raw mut name) };
        }
    }
}
