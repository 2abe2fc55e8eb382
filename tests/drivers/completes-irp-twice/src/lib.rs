//! A driver that completes a request a second time.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. The second call of `IoCompleteRequest` comes when the IRP is the I/O manager's again, or freed. Windows:
//! bug check 0x44, `MULTIPLE_IRP_COMPLETE_REQUESTS`, with the address of the IRP as first parameter.
#![no_std]

use test_driver_common::{Device, TestDriver, driver_entry, set_status};
use wdk_sys::{NTSTATUS, PIRP, STATUS_SUCCESS, ntddk::IofCompleteRequest};

/// See the crate's documentation.
enum CompletesIrpTwice {}

impl TestDriver for CompletesIrpTwice {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, STATUS_SUCCESS) };
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        // SAFETY: none: the IRP is not this driver's any more.
        unsafe { IofCompleteRequest(irp, 0) }; // BUG: completes the IRP that was completed above
        STATUS_SUCCESS
    }
}

driver_entry!(CompletesIrpTwice);
