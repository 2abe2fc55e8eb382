//! A driver that targets a DPC at a processor which the machine does not have.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: the first processor. Input 5: the 71st. Windows: bug check 0xC7, `TIMER_OR_DPC_INVALID`, with first
//! parameter 3: the processor number of the DPC is not correct.
#![no_std]

use core::{ffi::c_void, ptr};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{
    KDPC, NTSTATUS, PIRP, STATUS_SUCCESS,
    ntddk::{KeFlushQueuedDpcs, KeInitializeDpc, KeInsertQueueDpc, KeSetTargetProcessorDpc},
};

/// A processor that no machine here has.
const ABSENT: i8 = 70;

/// See the crate's documentation.
enum TargetsAbsentProcessor {}

impl TestDriver for TargetsAbsentProcessor {
    /// Room for the DPC.
    type State = [u64; size_of::<KDPC>() / size_of::<u64>()];

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        let dpc: *mut KDPC = device.state().cast();
        // SAFETY: the IRP is at this driver.
        let processor = if unsafe { asks_for_fault(irp) } { ABSENT } else { 0 };
        // SAFETY: the DPC lies in the device extension, and is not queued.
        unsafe { KeInitializeDpc(dpc, Some(nothing), ptr::null_mut()) };
        // SAFETY: none for the second input: the processor must be there.
        unsafe { KeSetTargetProcessorDpc(dpc, processor) }; // BUG: there is no such processor
        // SAFETY: initialized above. It is queued once.
        unsafe { KeInsertQueueDpc(dpc, ptr::null_mut(), ptr::null_mut()) }; // BUG: there is no queue for it
        // SAFETY: PASSIVE_LEVEL.
        unsafe { KeFlushQueuedDpcs() };
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }
}

/// # Safety
/// To be called by the kernel only.
unsafe extern "C" fn nothing(_dpc: *mut KDPC, _context: *mut c_void, _first: *mut c_void, _second: *mut c_void) {}

driver_entry!(TargetsAbsentProcessor);
