//! A driver whose ISR and DPC count in one variable without a lock.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL` several times, on a machine with two processors. Each request makes the device interrupt; the ISR
//! counts and queues the DPC, and the DPC counts as well, while the next interrupt may be served on the other processor. An addition
//! is a read and a write: one of two that overlap is lost.
//!
//! Windows has no bug check for that: the count is wrong, sometimes.
#![no_std]

use test_driver_common::{Device, TestDriver, driver_entry, set_status};
use wdk_sys::{NTSTATUS, PIRP, STATUS_SUCCESS, ntddk::IofCompleteRequest};

/// See the crate's documentation.
enum SharesCounterWithoutLock {}

impl TestDriver for SharesCounterWithoutLock {
    /// How often the ISR and the DPC ran, together.
    type State = u64;

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        device.raise_interrupt();
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, STATUS_SUCCESS) };
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        STATUS_SUCCESS
    }

    fn service(device: Device<Self>) -> bool {
        let claimed = device.take_interrupt();
        if claimed {
            // SAFETY: none: the interrupt spin lock is held, but the DPC does not take it.
            unsafe { *device.state() += 1 }; // BUG: the DPC counts at the same time on another processor
        }
        claimed
    }

    fn deferred(device: Device<Self>) {
        // SAFETY: none: no lock is held.
        unsafe { *device.state() += 1 }; // BUG: the ISR counts at the same time on another processor
    }
}

driver_entry!(SharesCounterWithoutLock);
