//! A driver that waits in a DPC.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`, which makes the device interrupt. The ISR queues the DPC, and the DPC calls `KeWaitForSingleObject` with
//! a time limit that is not zero, which is allowed at `APC_LEVEL` or below. Windows: bug check 0xB8, `ATTEMPTED_SWITCH_FROM_DPC`.
#![no_std]

use test_driver_common::{Device, TestDriver, driver_entry, set_status};
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    KEVENT, LARGE_INTEGER, NTSTATUS, PIRP, STATUS_SUCCESS,
    ntddk::{IofCompleteRequest, KeInitializeEvent, KeWaitForSingleObject},
};

/// A millisecond from now, in the kernel's units of 100 nanoseconds.
const A_MILLISECOND: LARGE_INTEGER = LARGE_INTEGER { QuadPart: -10_000 };

/// `KernelMode`.
const KERNEL_MODE: i8 = 0;

/// See the crate's documentation.
enum WaitsAtDispatch {}

impl TestDriver for WaitsAtDispatch {
    type State = ();

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        device.raise_interrupt();
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, STATUS_SUCCESS) };
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        STATUS_SUCCESS
    }

    fn deferred(_device: Device<Self>) {
        let mut never = KEVENT::default();
        let mut timeout = A_MILLISECOND;
        let event = (&raw mut never).cast();
        // SAFETY: the event is a local variable of a function that outlives its use.
        unsafe { KeInitializeEvent(&raw mut never, NotificationEvent, 0) };
        // SAFETY: none: a DPC runs at DISPATCH_LEVEL.
        let _ = unsafe { KeWaitForSingleObject(event, Executive, KERNEL_MODE, 0, &raw mut timeout) }; // BUG: waits at DISPATCH_LEVEL
    }
}

driver_entry!(WaitsAtDispatch);
