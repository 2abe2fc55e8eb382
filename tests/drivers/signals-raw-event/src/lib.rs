//! A driver that sets an event which it has never initialized.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: `KeInitializeEvent` comes first. Input 5: the event is all zero, and its list of waiters has no head.
//! Windows walks that list from a null pointer: bug check 0xA, `IRQL_NOT_LESS_OR_EQUAL`.
#![no_std]

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    KEVENT, NTSTATUS, PIRP, STATUS_SUCCESS,
    ntddk::{KeInitializeEvent, KeSetEvent},
};

/// See the crate's documentation.
enum SignalsRawEvent {}

impl TestDriver for SignalsRawEvent {
    /// Zeroed by `IoCreateDevice`, like the rest of the device extension.
    type State = Event;

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        let event: *mut KEVENT = device.state().cast();
        // SAFETY: the IRP is at this driver.
        if !unsafe { asks_for_fault(irp) } {
            // SAFETY: the event lies in the device extension, which is in nonpaged pool.
            unsafe { KeInitializeEvent(event, NotificationEvent, 0) };
        }
        // SAFETY: none for the second input: the event is not initialized.
        unsafe { KeSetEvent(event, 0, 0) }; // BUG: it was never initialized
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }
}

/// Room for a `KEVENT`.
type Event = [u64; size_of::<KEVENT>() / size_of::<u64>()];

driver_entry!(SignalsRawEvent);
