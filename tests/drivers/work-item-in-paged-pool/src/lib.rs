//! A driver that queues a work item which lies in paged pool.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: the work item lies in nonpaged pool. Input 5: in paged pool, where the kernel cannot link it into its
//! queue at `DISPATCH_LEVEL`. Driver Verifier: 0xC4, `DRIVER_VERIFIER_DETECTED_VIOLATION`, with first parameter 0x131.
#![no_std]

use core::ptr;

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish, stack_location};
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    _WORK_QUEUE_TYPE::DelayedWorkQueue,
    KEVENT, NTSTATUS, PDEVICE_OBJECT, PIO_WORKITEM, PIRP, POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, ULONG, ULONG64,
    ntddk::{
        ExAllocatePool2, ExFreePool, IoInitializeWorkItem, IoQueueWorkItem, IoSizeofWorkItem, IoUninitializeWorkItem,
        KeInitializeEvent, KeSetEvent, KeWaitForSingleObject,
    },
};

/// Pool tag, as `!poolused` shows it: `PgWk`.
const TAG: ULONG = u32::from_le_bytes(*b"PgWk");

/// See the crate's documentation.
enum WorkItemInPagedPool {}

impl TestDriver for WorkItemInPagedPool {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        let pool = if unsafe { asks_for_fault(irp) } {
            POOL_FLAG_PAGED
        } else {
            POOL_FLAG_NON_PAGED
        };
        // SAFETY: the IRP is at this driver.
        let device = unsafe { device_object(irp) };
        let status = run_work_item(pool, device);
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, status) }
    }
}

fn run_work_item(pool: ULONG64, device: PDEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: it may be called at DISPATCH_LEVEL or below.
    let size = unsafe { IoSizeofWorkItem() };
    // SAFETY: a size that is not 0, at PASSIVE_LEVEL.
    let item: PIO_WORKITEM = unsafe { ExAllocatePool2(pool, u64::from(size), TAG) }.cast();
    if item.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let mut done = KEVENT::default();
    let event: PVOID = (&raw mut done).cast();
    // SAFETY: the event is a local variable of a function that waits for it.
    unsafe { KeInitializeEvent(&raw mut done, NotificationEvent, 0) };
    // SAFETY: none for the second input: a work item has to be in nonpaged memory.
    unsafe { IoInitializeWorkItem(device.cast(), item) }; // BUG: the kernel links it at DISPATCH_LEVEL
    // SAFETY: initialized above, and not queued.
    unsafe { IoQueueWorkItem(item, Some(work), DelayedWorkQueue, event) }; // BUG: as above
    // SAFETY: initialized above; a wait in kernel mode keeps the stack in memory. Without a time limit it has one outcome.
    let _ = unsafe { KeWaitForSingleObject(event, Executive, 0, 0, ptr::null_mut()) };
    // SAFETY: initialized above, and taken off its queue before its routine was called.
    unsafe { IoUninitializeWorkItem(item) };
    // SAFETY: allocated above.
    unsafe { ExFreePool(item.cast()) };
    STATUS_SUCCESS
}

/// Sets the event that it is given.
///
/// # Safety
/// To be called by the kernel only.
unsafe extern "C" fn work(_device: PDEVICE_OBJECT, event: PVOID) {
    // SAFETY: whoever queued the work item waits for the event.
    unsafe { KeSetEvent(event.cast(), 0, 0) };
}

/// The device object that the IRP was sent to.
///
/// # Safety
/// The IRP must be at this driver.
unsafe fn device_object(irp: PIRP) -> PDEVICE_OBJECT {
    // SAFETY: promised by the caller.
    let location = unsafe { stack_location(irp) };
    // SAFETY: an IRP at a driver has a current stack location.
    unsafe { (*location).DeviceObject }
}

driver_entry!(WorkItemInPagedPool);
