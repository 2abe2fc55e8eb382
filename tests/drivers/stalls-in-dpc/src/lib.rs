//! A driver whose DPC takes a second.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`, which makes the device interrupt. Input 4: the DPC stalls for 40 microseconds. Input 5: 25,000 times in a row.
//! Windows: bug check 0x133, `DPC_WATCHDOG_VIOLATION`, with first parameter 0: one DPC takes too long.
#![no_std]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{NTSTATUS, PIRP, STATUS_SUCCESS, ntddk::KeStallExecutionProcessor};

/// Microseconds of a stall; 50 are the most that a driver should ask for.
const STALL: u32 = 40;

/// How often the DPC stalls.
static ROUNDS: AtomicU32 = AtomicU32::new(1);

/// See the crate's documentation.
enum StallsInDpc {}

impl TestDriver for StallsInDpc {
    type State = ();

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        let rounds = if unsafe { asks_for_fault(irp) } { 25_000 } else { 1 };
        ROUNDS.store(rounds, Relaxed);
        device.raise_interrupt();
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }

    fn deferred(_device: Device<Self>) {
        // BUG: the loop may be taken for a part of this line
        for _ in 0..ROUNDS.load(Relaxed) {
            // BUG: a second at DISPATCH_LEVEL
            // SAFETY: it may be called at any IRQL.
            unsafe { KeStallExecutionProcessor(STALL) }; // BUG: as above
        }
    }
}

driver_entry!(StallsInDpc);
