//! The dispatch routines.

use test_driver_common::{finish, mark_pending, pass_down, remove_lock};
use wdk_sys::{
    _WORK_QUEUE_TYPE::DelayedWorkQueue,
    IRP_MJ_POWER, IRP_MN_WAIT_WAKE, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_PENDING,
    ntddk::{IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItemEx},
};

use crate::{functions, later, lower, remove_lock as lock_of};

/// Every other request: the lower driver's. IRQL: `<= DISPATCH_LEVEL`.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn pass_on(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager calls with a device object of this driver.
    let lock = unsafe { lock_of(device) };
    // The IRP is gone when the lock is released: its address is a tag only.
    // SAFETY: AddDevice has initialised the lock.
    if let Err(status) = unsafe { remove_lock::acquire(lock, irp.cast()) } {
        // SAFETY: the IRP is at this driver, which gives it up.
        return unsafe { finish(irp, status) };
    }
    // SAFETY: the device object exists while the lock is held.
    let lower = unsafe { lower(device) };
    // SAFETY: the IRP is at this driver, and `lower` is next below.
    let status = unsafe { pass_down(irp, lower) };
    // SAFETY: acquired above with this tag.
    unsafe { remove_lock::release(lock, irp.cast()) };
    status
}

/// A PnP or power request: passed on by a work item. IRQL: `<= DISPATCH_LEVEL`.
///
/// `IRP_MN_WAIT_WAKE` ends when the device wakes the system: no thread waits for that.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn pend(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the IRP is at this driver.
    let functions = unsafe { functions(irp) };
    if functions == (IRP_MJ_POWER, IRP_MN_WAIT_WAKE) {
        // SAFETY: called as this was.
        return unsafe { pass_on(device, irp) };
    }
    // SAFETY: a device object of this driver's.
    let item = unsafe { IoAllocateWorkItem(device) };
    if item.is_null() {
        // SAFETY: called as this was.
        return unsafe { pass_on(device, irp) };
    }
    // SAFETY: as in `pass_on`.
    let lock = unsafe { lock_of(device) };
    // SAFETY: as in `pass_on`.
    if let Err(status) = unsafe { remove_lock::acquire(lock, irp.cast()) } {
        // SAFETY: allocated above, and not queued.
        unsafe { IoFreeWorkItem(item) };
        // SAFETY: the IRP is at this driver, which gives it up.
        return unsafe { finish(irp, status) };
    }
    // SAFETY: the IRP is at this driver.
    unsafe { mark_pending(irp) };
    // SAFETY: allocated above; the routine takes the IRP over, with the lock.
    unsafe { IoQueueWorkItemEx(item, Some(later::pass_on_later), DelayedWorkQueue, irp.cast()) };
    STATUS_PENDING
}
