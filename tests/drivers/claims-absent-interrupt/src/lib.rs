//! A driver whose ISR claims an interrupt when the device is gone.
//!
//! Trigger: take the device out (surprise removal) while it interrupts, and the line stays asserted, because nobody drives it any
//! more or because another device does. Every register reads all ones then. The ISR sees interrupt causes, knows better than to
//! acknowledge them, and still says that the interrupt was the device's own: the system believes it, and calls it again for ever.
//! `IOCTL_EDU_FACTORIAL` makes the device interrupt.
//!
//! Windows hangs, or stops with bug check 0xF2, `HARDWARE_INTERRUPT_STORM`, with the address of the ISR as first parameter.
#![no_std]

use edu::registers::{ABSENT, INTERRUPT_STATUS};
use test_driver_common::{Device, TestDriver, driver_entry, set_status};
use wdk_sys::{NTSTATUS, PIRP, STATUS_SUCCESS, ntddk::IofCompleteRequest};

/// See the crate's documentation.
enum ClaimsAbsentInterrupt {}

impl TestDriver for ClaimsAbsentInterrupt {
    type State = ();

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        device.raise_interrupt();
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, STATUS_SUCCESS) };
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        STATUS_SUCCESS
    }

    fn service(device: Device<Self>) -> bool {
        let causes = device.read(INTERRUPT_STATUS); // BUG: all ones says that the device is gone, and is claimed below
        if causes == 0 {
            return false;
        }
        if causes != ABSENT {
            device.acknowledge_and_defer(causes);
        }
        true
    }
}

driver_entry!(ClaimsAbsentInterrupt);
