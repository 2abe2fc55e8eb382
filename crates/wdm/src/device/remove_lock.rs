//! The remove lock of a device.

use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, size_of};

use wdk_sys::{
    IO_REMOVE_LOCK, PVOID, ULONG,
    ntddk::{IoAcquireRemoveLockEx, IoInitializeRemoveLockEx, IoReleaseRemoveLockAndWaitEx, IoReleaseRemoveLockEx},
};

use crate::{
    error::Result,
    irql::{AtMostDispatch, Irql, Passive},
    status::Status,
};

/// Pool tag of what the system allocates to track a remove lock, where it does.
const TAG: ULONG = u32::from_ne_bytes(*b"Rwdm");

#[expect(clippy::cast_possible_truncation, reason = "the structure is some dozen bytes long")]
const SIZE: ULONG = size_of::<IO_REMOVE_LOCK>() as ULONG;

/// Keeps a device object in existence while a request is being worked on.
///
/// Every request takes it with the IRP as tag, so that Driver Verifier can name the one that was forgotten, and gives it back after it
/// is completed. See [Using Remove Locks](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-remove-locks).
pub(crate) struct RemoveLock(UnsafeCell<MaybeUninit<IO_REMOVE_LOCK>>);

impl RemoveLock {
    /// Memory for a lock; [`initialize`](Self::initialize) makes it one.
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    const fn raw(&self) -> *mut IO_REMOVE_LOCK {
        self.0.get().cast()
    }

    /// `IoInitializeRemoveLock`. No limit is set on how long the lock is held, nor on how often: a request may pend for ever.
    ///
    /// # Safety
    /// Once, in the device extension, before any other use.
    pub(super) unsafe fn initialize(&self, _irql: &mut Irql<Passive>) {
        // SAFETY: the memory is ours and lies in a device extension, as promised by the caller.
        unsafe { IoInitializeRemoveLockEx(self.raw(), TAG, 0, 0, SIZE) };
    }

    /// `IoAcquireRemoveLock`: `STATUS_DELETE_PENDING` once the device is being removed. IRQL: at most `DISPATCH_LEVEL`.
    pub(crate) fn acquire<L: AtMostDispatch>(&self, tag: PVOID, _irql: &mut Irql<L>) -> Result<()> {
        // SAFETY: the lock is initialised by AddDevice before any dispatch routine can be called. The file name is for checked builds
        // of the system; it may be any string.
        let status = unsafe { IoAcquireRemoveLockEx(self.raw(), tag, c"wdm".as_ptr().cast(), line!(), SIZE) };
        Status::from_raw(status).into_result()
    }

    /// `IoReleaseRemoveLock`. IRQL: at most `DISPATCH_LEVEL`.
    ///
    /// # Safety
    /// The lock must have been acquired with `tag`, and not released since. The device may be gone when this returns.
    pub(crate) unsafe fn release(&self, tag: PVOID) {
        // SAFETY: promised by the caller.
        unsafe { IoReleaseRemoveLockEx(self.raw(), tag, SIZE) };
    }

    /// `IoReleaseRemoveLockAndWait`: returns when everybody else has released the lock; acquiring it fails from now on.
    ///
    /// # Safety
    /// As [`release`](Self::release); only while handling `IRP_MN_REMOVE_DEVICE`.
    pub(crate) unsafe fn release_and_wait(&self, tag: PVOID, _irql: &mut Irql<Passive>) {
        // SAFETY: promised by the caller.
        unsafe { IoReleaseRemoveLockAndWaitEx(self.raw(), tag, SIZE) };
    }
}
