//! A driver that initializes and sets an event in paged pool.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: the event lies in nonpaged pool. Input 5: in paged pool, where the kernel cannot reach it at
//! `DISPATCH_LEVEL` when it is paged out. Driver Verifier: 0xC4, `DRIVER_VERIFIER_DETECTED_VIOLATION`, with first parameter 0xE1.
#![no_std]

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    KEVENT, NTSTATUS, PIRP, POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED, PRKEVENT, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS, ULONG, ULONG64,
    ntddk::{ExAllocatePool2, ExFreePool, KeInitializeEvent, KeSetEvent},
};

/// Pool tag, as `!poolused` shows it: `PgEv`.
const TAG: ULONG = u32::from_le_bytes(*b"PgEv");

/// See the crate's documentation.
enum EventInPagedPool {}

impl TestDriver for EventInPagedPool {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        let pool = if unsafe { asks_for_fault(irp) } {
            POOL_FLAG_PAGED
        } else {
            POOL_FLAG_NON_PAGED
        };
        let status = set_event_in(pool);
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, status) }
    }
}

fn set_event_in(pool: ULONG64) -> NTSTATUS {
    // SAFETY: a size that is not 0, at PASSIVE_LEVEL.
    let event: PRKEVENT = unsafe { ExAllocatePool2(pool, size_of::<KEVENT>() as u64, TAG) }.cast();
    if event.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: none for the second input: an event has to be in nonpaged memory.
    unsafe { KeInitializeEvent(event, NotificationEvent, 0) }; // BUG: the kernel touches it at DISPATCH_LEVEL
    // SAFETY: initialized above.
    unsafe { KeSetEvent(event, 0, 0) };
    // SAFETY: allocated above, and nobody waits for it.
    unsafe { ExFreePool(event.cast()) };
    STATUS_SUCCESS
}

driver_entry!(EventInPagedPool);
