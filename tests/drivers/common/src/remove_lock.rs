//! The device's remove lock.

use wdk_sys::{
    IO_REMOVE_LOCK, NT_SUCCESS, NTSTATUS, PVOID, ULONG,
    ntddk::{IoAcquireRemoveLockEx, IoInitializeRemoveLockEx, IoReleaseRemoveLockAndWaitEx, IoReleaseRemoveLockEx},
};

use crate::{Device, TestDriver};

/// Pool tag of what the system allocates to track the lock, where it does.
const TAG: ULONG = u32::from_ne_bytes(*b"RtsT");

#[expect(clippy::cast_possible_truncation, reason = "the structure is some dozen bytes long")]
const SIZE: ULONG = size_of::<IO_REMOVE_LOCK>() as ULONG;

impl<D: TestDriver> Device<D> {
    /// `IoInitializeRemoveLock`, by `AddDevice`.
    pub(crate) fn initialize_remove_lock(self) {
        // SAFETY: the lock lies in the device extension, where nobody uses it yet.
        unsafe { IoInitializeRemoveLockEx(self.remove_lock(), TAG, 0, 0, SIZE) };
    }

    /// `IoAcquireRemoveLock`: the status with which to refuse the request, if the device is being removed.
    pub(crate) fn acquire_remove_lock(self, tag: PVOID) -> Result<(), NTSTATUS> {
        // SAFETY: AddDevice has initialised the lock. The file name is for checked builds of the system.
        let status = unsafe { IoAcquireRemoveLockEx(self.remove_lock(), tag, c"test".as_ptr().cast(), line!(), SIZE) };
        if NT_SUCCESS(status) { Ok(()) } else { Err(status) }
    }

    /// `IoReleaseRemoveLock`.
    ///
    /// # Safety
    /// The lock must have been acquired with `tag`. The device may be gone when this returns.
    pub(crate) unsafe fn release_remove_lock(self, tag: PVOID) {
        // SAFETY: promised by the caller.
        unsafe { IoReleaseRemoveLockEx(self.remove_lock(), tag, SIZE) };
    }

    /// `IoReleaseRemoveLockAndWait`: returns when nobody else holds the lock, and nobody will.
    ///
    /// # Safety
    /// As for `release_remove_lock`; only while `IRP_MN_REMOVE_DEVICE` is handled.
    pub(crate) unsafe fn release_remove_lock_and_wait(self, tag: PVOID) {
        // SAFETY: promised by the caller.
        unsafe { IoReleaseRemoveLockAndWaitEx(self.remove_lock(), tag, SIZE) };
    }
}
