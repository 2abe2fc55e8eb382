//! The work item: passes a request on and completes it.

use test_driver_common::{forward_and_wait, remove_lock};
use wdk_sys::{
    IRP_MJ_PNP, IRP_MN_REMOVE_DEVICE, LARGE_INTEGER, PDEVICE_OBJECT, PIO_WORKITEM, PIRP, PVOID,
    ntddk::{IoDeleteDevice, IoDetachDevice, IoFreeWorkItem, IofCompleteRequest, KeDelayExecutionThread},
};

use crate::{functions, lower, remove_lock as lock_of};

/// How long a request stays here: a millisecond, in units of 100 ns, relative.
const WHILE: LARGE_INTEGER = LARGE_INTEGER { QuadPart: -10_000 };

/// Waits, passes the request to the lower drivers, waits until they have handled it, and completes it. IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
/// To be called by the system only, as the routine of a work item whose context is an IRP with a remove lock acquired for it.
pub(crate) unsafe extern "C" fn pass_on_later(device: PVOID, context: PVOID, item: PIO_WORKITEM) {
    let (device, irp): (PDEVICE_OBJECT, PIRP) = (device.cast(), context.cast());
    // SAFETY: it has left the queue. The system keeps the device object, and so the image, until this routine has returned.
    unsafe { IoFreeWorkItem(item) };
    let mut interval = WHILE;
    // SAFETY: PASSIVE_LEVEL, and the interval is a local variable. A wait that is not alertable has one outcome.
    let _ = unsafe { KeDelayExecutionThread(0, 0, &raw mut interval) };
    // SAFETY: the IRP is at this driver.
    let functions = unsafe { functions(irp) };
    // SAFETY: the device object exists while the lock is held.
    let lower = unsafe { lower(device) };
    // SAFETY: the IRP is at this driver, and `lower` is next below. What it ended with stays in the IRP.
    let _ = unsafe { forward_and_wait(irp, lower) };
    // SAFETY: the device object exists while the lock is held.
    let lock = unsafe { lock_of(device) };
    if functions == (IRP_MJ_PNP, IRP_MN_REMOVE_DEVICE) {
        // SAFETY: acquired for this IRP, the remove request.
        unsafe { remove_lock::release_and_wait(lock, irp.cast()) };
        // SAFETY: AddDevice attached to it.
        unsafe { IoDetachDevice(lower) };
        // SAFETY: nobody uses it any more.
        unsafe { IoDeleteDevice(device) };
        // SAFETY: the IRP is back at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        return;
    }
    // SAFETY: the IRP is back at this driver, which gives it up.
    unsafe { IofCompleteRequest(irp, 0) };
    // SAFETY: acquired for this IRP, whose address is a tag only.
    unsafe { remove_lock::release(lock, irp.cast()) };
}
