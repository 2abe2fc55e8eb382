//! A device's remove lock.

use wdk_sys::{
    IO_REMOVE_LOCK, NT_SUCCESS, NTSTATUS, PVOID, ULONG,
    ntddk::{IoAcquireRemoveLockEx, IoInitializeRemoveLockEx, IoReleaseRemoveLockAndWaitEx, IoReleaseRemoveLockEx},
};

use crate::{Device, TestDriver};

/// Pool tag of what the system allocates to track the lock, where it does.
const TAG: ULONG = u32::from_ne_bytes(*b"RtsT");

#[expect(clippy::cast_possible_truncation, reason = "the structure is some dozen bytes long")]
const SIZE: ULONG = size_of::<IO_REMOVE_LOCK>() as ULONG;

/// `IoInitializeRemoveLock`, by `AddDevice`.
///
/// # Safety
/// The lock must lie in the device extension, where nobody uses it yet.
pub unsafe fn initialize(lock: *mut IO_REMOVE_LOCK) {
    // SAFETY: promised by the caller.
    unsafe { IoInitializeRemoveLockEx(lock, TAG, 0, 0, SIZE) };
}

/// `IoAcquireRemoveLock`: the status with which to refuse the request, if the device is being removed.
///
/// # Errors
/// `STATUS_DELETE_PENDING`.
///
/// # Safety
/// The lock must be initialised.
pub unsafe fn acquire(lock: *mut IO_REMOVE_LOCK, tag: PVOID) -> Result<(), NTSTATUS> {
    // SAFETY: promised by the caller. The file name is for checked builds of the system.
    let status = unsafe { IoAcquireRemoveLockEx(lock, tag, c"test".as_ptr().cast(), line!(), SIZE) };
    if NT_SUCCESS(status) { Ok(()) } else { Err(status) }
}

/// `IoReleaseRemoveLock`.
///
/// # Safety
/// The lock must have been acquired with `tag`. The device may be gone when this returns.
pub unsafe fn release(lock: *mut IO_REMOVE_LOCK, tag: PVOID) {
    // SAFETY: promised by the caller.
    unsafe { IoReleaseRemoveLockEx(lock, tag, SIZE) };
}

/// `IoReleaseRemoveLockAndWait`: returns when nobody else holds the lock, and nobody will.
///
/// # Safety
/// As for [`release`]; only while `IRP_MN_REMOVE_DEVICE` is handled.
pub unsafe fn release_and_wait(lock: *mut IO_REMOVE_LOCK, tag: PVOID) {
    // SAFETY: promised by the caller.
    unsafe { IoReleaseRemoveLockAndWaitEx(lock, tag, SIZE) };
}

impl<D: TestDriver> Device<D> {
    /// See [`initialize`].
    pub(crate) fn initialize_remove_lock(self) {
        // SAFETY: AddDevice calls this before anybody else uses the extension.
        unsafe { initialize(self.remove_lock()) };
    }

    /// See [`acquire`].
    pub(crate) fn acquire_remove_lock(self, tag: PVOID) -> Result<(), NTSTATUS> {
        // SAFETY: AddDevice has initialised the lock.
        unsafe { acquire(self.remove_lock(), tag) }
    }

    /// See [`release`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn release_remove_lock(self, tag: PVOID) {
        // SAFETY: promised by the caller.
        unsafe { release(self.remove_lock(), tag) };
    }

    /// See [`release_and_wait`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn release_remove_lock_and_wait(self, tag: PVOID) {
        // SAFETY: promised by the caller.
        unsafe { release_and_wait(self.remove_lock(), tag) };
    }
}
