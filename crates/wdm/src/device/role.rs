//! What a driver is in the stack of a device: its function driver, or a filter.

use core::marker::PhantomData;
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    DEVICE_OBJECT, DO_BUFFERED_IO, DO_DIRECT_IO, DO_POWER_INRUSH, DO_POWER_PAGABLE, FILE_CHARACTERISTICS_PROPAGATED,
    FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, ULONG,
};

use super::{DeviceExtension, DeviceInit, FilterDevice, IoMethod};
use crate::{error::Error, guid::Guid};

/// What `AddDevice` does in another way for each role.
pub(crate) trait Role: 'static {
    /// What the driver keeps in the extension.
    type Data: Send + Sync + 'static;

    /// The device interface that is registered.
    const INTERFACE: Option<Guid>;

    /// The initialiser of the driver's value.
    fn init(device: &DeviceInit<'_, Self::Data>) -> impl PinInit<Self::Data, Error>;

    /// What a device object is to look like above one that looks like `lower`.
    fn appearance(lower: Appearance) -> Appearance;
}

/// What the drivers above a device object, and the system, go by.
#[derive(Clone, Copy)]
pub(crate) struct Appearance {
    device_type: ULONG,
    flags: ULONG,
    characteristics: ULONG,
}

impl Appearance {
    /// # Safety
    /// The device object must be valid.
    pub(super) const unsafe fn of(device: NonNull<DEVICE_OBJECT>) -> Self {
        let device = device.as_ptr();
        Self {
            // SAFETY: promised by the caller.
            device_type: unsafe { (*device).DeviceType },
            // SAFETY: promised by the caller.
            flags: unsafe { (*device).Flags },
            // SAFETY: promised by the caller.
            characteristics: unsafe { (*device).Characteristics },
        }
    }

    /// Gives it to a device object, which keeps the flags and the characteristics that it has.
    ///
    /// # Safety
    /// The device object must be this driver's, and be marked as initialising.
    pub(super) const unsafe fn give_to(self, device: NonNull<DEVICE_OBJECT>) {
        let device = device.as_ptr();
        // SAFETY: promised by the caller.
        unsafe { (*device).DeviceType = self.device_type };
        // SAFETY: promised by the caller.
        unsafe { (*device).Flags |= self.flags };
        // SAFETY: promised by the caller.
        unsafe { (*device).Characteristics |= self.characteristics };
    }
}

/// The role of a [`DeviceExtension`]'s driver.
pub(crate) struct Function<T>(PhantomData<T>);

impl<T: DeviceExtension> Role for Function<T> {
    type Data = T;

    const INTERFACE: Option<Guid> = T::INTERFACE;

    fn init(device: &DeviceInit<'_, T>) -> impl PinInit<T, Error> {
        T::init(device)
    }

    fn appearance(lower: Appearance) -> Appearance {
        let io = match T::IO_METHOD {
            IoMethod::Buffered => DO_BUFFERED_IO,
            IoMethod::Direct => DO_DIRECT_IO,
        };
        Appearance {
            device_type: FILE_DEVICE_UNKNOWN,
            // Power requests come at PASSIVE_LEVEL only where every driver of the stack says so.
            flags: io | lower.flags & DO_POWER_PAGABLE,
            characteristics: FILE_DEVICE_SECURE_OPEN,
        }
    }
}

/// The role of a [`FilterDevice`]'s driver.
pub(crate) struct Filter<T>(PhantomData<T>);

impl<T: FilterDevice> Role for Filter<T> {
    type Data = T;

    const INTERFACE: Option<Guid> = None;

    fn init(device: &DeviceInit<'_, T>) -> impl PinInit<T, Error> {
        T::init(device)
    }

    /// As the device below. Of the characteristics it has those that are the
    /// [whole stack's](https://learn.microsoft.com/windows-hardware/drivers/kernel/specifying-device-characteristics).
    fn appearance(lower: Appearance) -> Appearance {
        Appearance {
            device_type: lower.device_type,
            flags: lower.flags & (DO_BUFFERED_IO | DO_DIRECT_IO | DO_POWER_PAGABLE | DO_POWER_INRUSH),
            characteristics: FILE_DEVICE_SECURE_OPEN | lower.characteristics & FILE_CHARACTERISTICS_PROPAGATED,
        }
    }
}
