//! A driver that waits in user mode for an event on its stack.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: the wait is in kernel mode. Input 5: in user mode, where the stack can be paged out during the wait, and the
//! event with it. Driver Verifier: 0xC4, `DRIVER_VERIFIER_DETECTED_VIOLATION`, with first parameter 0x123.
#![no_std]

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    KEVENT, KPROCESSOR_MODE, LARGE_INTEGER, NTSTATUS, PIRP, STATUS_SUCCESS,
    ntddk::{KeInitializeEvent, KeWaitForSingleObject},
};

/// A millisecond from now, in the kernel's units of 100 nanoseconds.
const A_MILLISECOND: LARGE_INTEGER = LARGE_INTEGER { QuadPart: -10_000 };

/// `KernelMode`.
const KERNEL_MODE: KPROCESSOR_MODE = 0;
/// `UserMode`.
const USER_MODE: KPROCESSOR_MODE = 1;

/// See the crate's documentation.
enum WaitsInUserMode {}

impl TestDriver for WaitsInUserMode {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        let mode = if unsafe { asks_for_fault(irp) } {
            USER_MODE
        } else {
            KERNEL_MODE
        };
        let mut never = KEVENT::default();
        let mut timeout = A_MILLISECOND;
        let event = (&raw mut never).cast();
        // SAFETY: the event is a local variable of a function that outlives its use.
        unsafe { KeInitializeEvent(&raw mut never, NotificationEvent, 0) };
        // SAFETY: none for the second input: the stack may be paged out.
        let _ = unsafe { KeWaitForSingleObject(event, Executive, mode, 0, &raw mut timeout) }; // BUG: in user mode for what is on the stack
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }
}

driver_entry!(WaitsInUserMode);
