//! A driver that returns output that it never wrote.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL` with an output buffer of more than 4 bytes. The system buffer holds the input and, beyond it, what was
//! in pool before; the I/O manager copies as much to the program as `Information` says. Windows: nothing stops it, and programs read
//! what was the kernel's. A run over other stale memory shows it.
#![no_std]

use test_driver_common::{Device, TestDriver, driver_entry, set_status};
use wdk_sys::{NTSTATUS, PIRP, STATUS_SUCCESS, ntddk::IofCompleteRequest};

/// See the crate's documentation.
enum GivesStaleMemoryAway {}

/// Bytes that the driver says it has answered with.
const ANSWERED: u64 = 8;

impl TestDriver for GivesStaleMemoryAway {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, STATUS_SUCCESS) };
        // SAFETY: the IRP is at this driver.
        unsafe { (*irp).IoStatus.Information = ANSWERED }; // BUG: nothing was written to the system buffer
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        STATUS_SUCCESS
    }
}

driver_entry!(GivesStaleMemoryAway);
