//! The drivers below a device, until `IRP_MN_REMOVE_DEVICE` goes down to them.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

use rundown::Rundown;
use wdk_sys::{DEVICE_OBJECT, ntddk::IoAttachDeviceToDeviceStackSafe};

use crate::{
    error::{Error, Result},
    irql::{Irql, Passive},
    revocable::wait_for_users,
    status::Status,
};

/// The device object below this one in its stack, and who is calling its driver, or the bus driver.
///
/// When they have handled `IRP_MN_REMOVE_DEVICE` their device objects are gone. The remove lock does not keep a driver from calling them then: who has
/// it may have it for long, and the request is passed down before the driver waits for it to be free, so that requests which the lower drivers keep
/// come to an end. So each call enters here first; removal lets nobody enter any more, and waits until the last call has returned, before it passes
/// the request down.
pub(crate) struct Lower {
    device: AtomicPtr<DEVICE_OBJECT>,
    /// The device is there to be called.
    calls: Rundown,
}

impl Lower {
    /// Nobody is below yet.
    pub(super) const fn none() -> Self {
        Self {
            device: AtomicPtr::new(core::ptr::null_mut()),
            calls: Rundown::new(),
        }
    }

    /// Puts `device`, whose extension this lies in, on top of the stack of `pdo`; the device object that is below from now on. Called once, by
    /// `AddDevice`.
    ///
    /// A request can come as soon as the device is in the stack, and must find the one below.
    /// [`IoAttachDeviceToDeviceStackSafe`](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-ioattachdevicetodevicestacksafe) sees
    /// to that: it stores it under the lock that it attaches the device under.
    ///
    /// # Errors
    /// `STATUS_NO_SUCH_DEVICE`.
    ///
    /// # Safety
    /// Both device objects must be valid, that of this driver and the one that it is to drive.
    pub(super) unsafe fn attach(
        &self,
        device: NonNull<DEVICE_OBJECT>,
        pdo: NonNull<DEVICE_OBJECT>,
        _irql: &mut Irql<Passive>,
    ) -> Result<NonNull<DEVICE_OBJECT>> {
        if self.calls.begin_publish() {
            self.calls.finish_publish();
        }
        // SAFETY: promised by the caller. What is filled in is null, and others only read it as an aligned pointer.
        let status = unsafe { IoAttachDeviceToDeviceStackSafe(device.as_ptr(), pdo.as_ptr(), self.device.as_ptr()) };
        Status::from_raw(status).into_result()?;
        self.device().ok_or(Error::NO_SUCH_DEVICE)
    }

    /// Calls `f` with the device object below, which is there until `f` returns. Any IRQL. Removal waits until `f` returns, so a
    /// lower driver whose dispatch routine blocks a request until the device is removed blocks the removal: the price of never calling it afterwards.
    ///
    /// # Errors
    /// `STATUS_DELETE_PENDING` when `IRP_MN_REMOVE_DEVICE` has gone down, or is about to; `STATUS_DEVICE_NOT_READY` before `AddDevice` has attached the
    /// device to its stack.
    pub(crate) fn call<R>(&self, f: impl FnOnce(NonNull<DEVICE_OBJECT>) -> R) -> Result<R> {
        let device = if self.calls.enter() { self.device() } else { None };
        let result = device.map(f);
        self.calls.leave();
        result.ok_or_else(|| match self.device() {
            Some(_) => Error::DELETE_PENDING,
            None => Error::DEVICE_NOT_READY,
        })
    }

    /// Lets nobody call any more, and returns when nobody does; the device object below, for `IRP_MN_REMOVE_DEVICE`.
    pub(crate) fn close(&self, irql: &mut Irql<Passive>) -> Option<NonNull<DEVICE_OBJECT>> {
        if self.calls.begin_revoke() {
            wait_for_users(&self.calls, irql);
        }
        self.device()
    }

    /// The device object below, to look at while the device is attached to it.
    pub(crate) fn device(&self) -> Option<NonNull<DEVICE_OBJECT>> {
        NonNull::new(self.device.load(Ordering::Acquire))
    }
}
