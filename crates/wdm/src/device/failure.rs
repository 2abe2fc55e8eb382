//! A device that has failed, and how the system learns of it.

use core::fmt;
use core::marker::PhantomPinned;
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::ntddk::IoInvalidateDeviceState;

use super::{DeviceExtension, DeviceInit, Header};
use crate::{
    error::Error,
    irql::{AtMostDispatch, Irql},
};

/// For a driver to say that its device has failed: it does not answer any more, or not as it should.
///
/// The system asks the device's drivers for its state (`IRP_MN_QUERY_PNP_DEVICE_STATE`); the safe layer answers with `PNP_DEVICE_FAILED`, and
/// the device is removed, by surprise where programs have it open.
///
/// ```no_run
/// use wdm::{DeviceFailure, Irql, irql::Dispatch};
///
/// /// In a DPC: the device answers with all ones, as nobody does who is there.
/// fn check(failure: &DeviceFailure, status: u32, irql: &mut Irql<Dispatch>) {
///     if status == u32::MAX {
///         failure.report(irql);
///     }
/// }
/// # fn main() {}
/// ```
pub struct DeviceFailure {
    header: NonNull<Header>,
    _pinned: PhantomPinned,
}

// SAFETY: the header is `Sync`.
unsafe impl Sync for DeviceFailure {}
// SAFETY: it belongs to no thread.
unsafe impl Send for DeviceFailure {}

impl DeviceFailure {
    /// For the device whose extension it lies in.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension.
    pub fn new<T: DeviceExtension>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let this = Self {
            header: device.header(),
            _pinned: PhantomPinned,
        };
        device.place(this, || Ok(()))
    }

    /// The device has failed. Once is enough: a device that has failed stays so. While it is being removed nobody needs to be told.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `IoInvalidateDeviceState`.
    pub fn report<L: AtMostDispatch>(&self, irql: &mut Irql<L>) {
        // SAFETY: the header outlives everything in the extension.
        report(unsafe { self.header.as_ref() }, irql);
    }
}

/// As [`DeviceFailure::report`].
pub(crate) fn report<L: AtMostDispatch>(header: &Header, _irql: &mut Irql<L>) {
    if !header.note_failure() {
        return;
    }
    // Where that is refused the device is being removed.
    let _ = header.lower.call(|_| {
        // SAFETY: the bus driver has not handled IRP_MN_REMOVE_DEVICE, so its device object exists; at most DISPATCH_LEVEL, as the token proves.
        unsafe { IoInvalidateDeviceState(header.pdo().as_ptr()) };
    });
}

impl fmt::Debug for DeviceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFailure").finish_non_exhaustive()
    }
}
