//! A driver that copies between buffers that overlap.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: `memmove`, which is made for that. Input 5: `memcpy`, which is not. Driver Verifier: 0xC4,
//! `DRIVER_VERIFIER_DETECTED_VIOLATION`, with first parameter 0xF0.
#![no_std]

use core::{ffi::c_void, hint};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{
    NTSTATUS, PIRP, POOL_FLAG_NON_PAGED, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, ULONG,
    ntddk::{ExAllocatePool2, ExFreePool},
};

/// What is allocated, in bytes.
const SIZE: u64 = 64;
/// What is copied, in bytes.
const LENGTH: usize = 32;
/// How far it is copied.
const DISTANCE: usize = 4;

/// Pool tag, as `!poolused` shows it: `Copy`.
const TAG: ULONG = u32::from_le_bytes(*b"Copy");

unsafe extern "C" {
    fn memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
    fn memmove(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
}

/// See the crate's documentation.
enum CopiesOverlapping {}

impl TestDriver for CopiesOverlapping {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        let status = shift(unsafe { asks_for_fault(irp) });
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, status) }
    }
}

fn shift(wrong: bool) -> NTSTATUS {
    // SAFETY: a size that is not 0, at PASSIVE_LEVEL.
    let memory = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, SIZE, TAG) };
    if memory.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let to = memory.wrapping_byte_add(DISTANCE);
    // What the compiler does not know it calls the routine for.
    let length = hint::black_box(LENGTH);
    if wrong {
        // SAFETY: none: source and destination must not overlap.
        unsafe { memcpy(to, memory, length) }; // BUG: they overlap
    } else {
        // SAFETY: both lie in what was allocated.
        unsafe { memmove(to, memory, length) };
    }
    // SAFETY: allocated above.
    unsafe { ExFreePool(memory) };
    STATUS_SUCCESS
}

driver_entry!(CopiesOverlapping);
