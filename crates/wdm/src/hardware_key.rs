//! A device's parameters in the registry.

use core::fmt;
use core::marker::PhantomPinned;
use core::mem::{offset_of, size_of};
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
    HANDLE, KEY_QUERY_VALUE, KEY_VALUE_PARTIAL_INFORMATION, PLUGPLAY_REGKEY_DEVICE, REG_DWORD, ULONG,
    ntddk::{IoOpenDeviceRegistryKey, ZwClose, ZwQueryValueKey},
};

use crate::{
    device::{DeviceInit, Header},
    error::{Error, Result},
    irql::{Irql, Passive},
    resources::Resources,
    status::Status,
    unicode_string::UnicodeString,
};

/// The device's hardware key: where an INF's `DDInstall.HW` section, and the administrator, leave parameters for the driver of one device.
///
/// ```no_run
/// use core::time::Duration;
///
/// use wdm::{HardwareKey, Irql, Resources, irql::Passive, unicode_string};
///
/// /// How long the device is waited for: what the registry says, else half a second. Called by `start`.
/// fn time_limit(key: &HardwareKey, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Duration {
///     let milliseconds = key.dword(unicode_string!("TimeoutMs"), resources, irql).unwrap_or(500);
///     Duration::from_millis(milliseconds.into())
/// }
/// # fn main() {}
/// ```
///
/// See [Introduction to Registry Keys for Drivers](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-registry-keys-for-drivers).
pub struct HardwareKey {
    header: NonNull<Header>,
    _pinned: PhantomPinned,
}

// SAFETY: the header is `Sync`, and outlives everything in the extension.
unsafe impl Sync for HardwareKey {}
// SAFETY: it belongs to no thread.
unsafe impl Send for HardwareKey {}

impl HardwareKey {
    /// The key of the device whose extension it lies in. It is not opened before it is read.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let this = Self {
            header: device.header(),
            _pinned: PhantomPinned,
        };
        device.place(this, || Ok(()))
    }

    /// The value `name`, which must be a `REG_DWORD`.
    ///
    /// `IoOpenDeviceRegistryKey` is to be called in a system thread: in another one the handle would be a program's. Whoever has the device's resources
    /// runs in one, since the PnP manager lends them to [`start`](crate::DeviceExtension::start) in its own.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDIs: `IoOpenDeviceRegistryKey` (`PLUGPLAY_REGKEY_DEVICE`), `ZwQueryValueKey`, `ZwClose`.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` if there is no such value; `STATUS_OBJECT_TYPE_MISMATCH` if it is of another type; what the DDIs return.
    pub fn dword(&self, name: UnicodeString<'_>, _resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<u32> {
        let key = self.open(irql)?;
        let value = query_dword(key, name);
        // SAFETY: opened above, and not used below. A valid handle can be closed.
        let _ = unsafe { ZwClose(key) };
        value
    }

    fn open(&self, _irql: &mut Irql<Passive>) -> Result<HANDLE> {
        // SAFETY: the header outlives everything in the extension.
        let header = unsafe { self.header.as_ref() };
        let mut key: HANDLE = core::ptr::null_mut();
        // SAFETY: the physical device object is that of this device; PASSIVE_LEVEL, as the token proves; the result is a local variable.
        let status = unsafe {
            IoOpenDeviceRegistryKey(
                header.pdo().as_ptr(),
                PLUGPLAY_REGKEY_DEVICE,
                KEY_QUERY_VALUE,
                &raw mut key,
            )
        };
        Status::from_raw(status).into_result()?;
        Ok(key)
    }
}

/// Where the data begins in what `ZwQueryValueKey` answers. A `DWORD` finds room in the padding of the structure.
const DATA: usize = offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Data);
const _: () = assert!(DATA + size_of::<u32>() <= size_of::<KEY_VALUE_PARTIAL_INFORMATION>());

fn query_dword(key: HANDLE, name: UnicodeString<'_>) -> Result<u32> {
    #[expect(clippy::cast_possible_truncation, reason = "some bytes long")]
    const LENGTH: ULONG = size_of::<KEY_VALUE_PARTIAL_INFORMATION>() as ULONG;
    #[expect(clippy::cast_possible_truncation, reason = "4 bytes")]
    const DWORD: ULONG = size_of::<u32>() as ULONG;

    let mut answer = KEY_VALUE_PARTIAL_INFORMATION::default();
    let mut length = 0;
    // SAFETY: the handle is open, the name is only read, and the answer has the length that is said.
    let status = unsafe {
        ZwQueryValueKey(
            key,
            name.as_raw(),
            KeyValuePartialInformation,
            (&raw mut answer).cast(),
            LENGTH,
            &raw mut length,
        )
    };
    Status::from_raw(status).into_result().map_err(|error| match error {
        // A longer value than a DWORD does not fit.
        Error::BUFFER_OVERFLOW | Error::BUFFER_TOO_SMALL => Error::OBJECT_TYPE_MISMATCH,
        other => other,
    })?;
    if answer.Type != REG_DWORD || answer.DataLength != DWORD {
        return Err(Error::OBJECT_TYPE_MISMATCH);
    }
    // By the structure's address: the declaration has only the first byte of the data.
    let data = (&raw const answer).cast::<u8>().wrapping_add(DATA);
    // SAFETY: 4 bytes of data have been written there, and lie in the structure.
    Ok(unsafe { data.cast::<u32>().read_unaligned() })
}

impl fmt::Debug for HardwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HardwareKey").finish_non_exhaustive()
    }
}
