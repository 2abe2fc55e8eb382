//! A driver whose DPC polls a flag that nobody clears.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`, which makes the device interrupt. Input 4: the DPC returns at once. Input 5: it never does. Windows: bug check
//! 0x133, `DPC_WATCHDOG_VIOLATION`, with first parameter 0: one DPC takes too long.
#![no_std]

use core::{
    hint,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{NTSTATUS, PIRP, STATUS_SUCCESS};

/// The DPC goes on while this is set.
static BUSY: AtomicBool = AtomicBool::new(false);

/// See the crate's documentation.
enum LoopsInDpc {}

impl TestDriver for LoopsInDpc {
    type State = ();

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        BUSY.store(unsafe { asks_for_fault(irp) }, Relaxed);
        device.raise_interrupt();
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }

    fn deferred(_device: Device<Self>) {
        // BUG: the loop may be taken for a part of this line
        while BUSY.load(Relaxed) {
            // BUG: nobody clears it
            hint::spin_loop(); // BUG: as above
        }
    }
}

driver_entry!(LoopsInDpc);
