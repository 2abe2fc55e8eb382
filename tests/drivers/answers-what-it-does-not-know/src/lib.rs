//! A driver that answers PnP requests which it does not know.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL` with 5, then a PnP request with a minor function that the system does not have; Driver Verifier sends
//! some. The driver sets its status to success before it passes it down, so that its sender takes it for done. After a 4 it passes such
//! requests down as they came. Windows with Driver Verifier: bug check 0xC9 with 0x213 or 0x23B.
#![no_std]

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish, pass_down, set_status};
use wdk_sys::{IRP_MN_DEVICE_ENUMERATED, NTSTATUS, PDEVICE_OBJECT, PIRP, STATUS_SUCCESS};

/// Whether the last request asked for the fault.
static ASKED: AtomicBool = AtomicBool::new(false);

/// See the crate's documentation.
enum AnswersWhatItDoesNotKnow {}

impl TestDriver for AnswersWhatItDoesNotKnow {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver, with its input.
        ASKED.store(unsafe { asks_for_fault(irp) }, Relaxed);
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }

    unsafe fn plug_and_play(_device: Device<Self>, lower: PDEVICE_OBJECT, irp: PIRP, minor: u32) -> Option<NTSTATUS> {
        if minor <= IRP_MN_DEVICE_ENUMERATED || !ASKED.load(Relaxed) {
            return None;
        }
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, STATUS_SUCCESS) };
        // SAFETY: none: the status is not this driver's to change.
        let status = unsafe { pass_down(irp, lower) }; // BUG: passes down as a success what it does not know
        Some(status)
    }
}

driver_entry!(AnswersWhatItDoesNotKnow);
