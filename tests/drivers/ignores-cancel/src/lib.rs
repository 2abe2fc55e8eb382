//! A driver that pends a request for ever, without a cancel routine.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL` with 5, cancelled. `CancelIoEx` succeeds and nothing happens; the program can never end. With 4 the driver
//! answers at once. Windows with Driver Verifier: bug check 0xC4 with 0x135, five minutes after the request was cancelled.
#![no_std]

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish, mark_pending};
use wdk_sys::{NTSTATUS, PIRP, STATUS_PENDING, STATUS_SUCCESS};

/// See the crate's documentation.
enum IgnoresCancel {}

impl TestDriver for IgnoresCancel {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver, with its input.
        if unsafe { asks_for_fault(irp) } {
            // SAFETY: the IRP is at this driver.
            unsafe { mark_pending(irp) }; // BUG: nobody completes it
            return STATUS_PENDING;
        }
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }
}

driver_entry!(IgnoresCancel);
