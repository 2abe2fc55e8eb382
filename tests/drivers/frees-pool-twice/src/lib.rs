//! A driver that frees pool memory a second time.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Windows: bug check 0xC2, `BAD_POOL_CALLER`, with first parameter 7: the memory was freed
//! already. With Driver Verifier: 0xC4, `DRIVER_VERIFIER_DETECTED_VIOLATION`, with first parameter 0x13, which says the same.
#![no_std]

use test_driver_common::{Device, TestDriver, driver_entry, set_status};
use wdk_sys::{
    NTSTATUS, PIRP, POOL_FLAG_NON_PAGED, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, ULONG,
    ntddk::{ExAllocatePool2, ExFreePool, IofCompleteRequest},
};

/// What is allocated, in bytes.
const SIZE: u64 = 64;

/// Pool tag, as `!poolused` shows it: `Twic`.
const TAG: ULONG = u32::from_le_bytes(*b"Twic");

/// See the crate's documentation.
enum FreesPoolTwice {}

impl TestDriver for FreesPoolTwice {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        let status = allocate_and_free();
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, status) };
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        status
    }
}

fn allocate_and_free() -> NTSTATUS {
    // SAFETY: a size that is not 0, at PASSIVE_LEVEL.
    let memory = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, SIZE, TAG) };
    if memory.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: allocated above.
    unsafe { ExFreePool(memory) };
    // SAFETY: none: the memory is not this driver's any more.
    unsafe { ExFreePool(memory) }; // BUG: frees the memory that was freed above
    STATUS_SUCCESS
}

driver_entry!(FreesPoolTwice);
