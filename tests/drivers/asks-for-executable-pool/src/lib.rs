//! A driver that allocates executable pool.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: `NonPagedPoolNx`. Input 5: `NonPagedPool`, which is executable: memory integrity refuses it. Driver
//! Verifier's code integrity checks: 0xC4, `DRIVER_VERIFIER_DETECTED_VIOLATION`, with first parameter 0x2000.
#![no_std]

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{
    _POOL_TYPE::{NonPagedPool, NonPagedPoolNx},
    NTSTATUS, PIRP, POOL_TYPE, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, ULONG,
    ntddk::ExFreePool,
};

/// What is allocated, in bytes.
const SIZE: u64 = 64;

/// Pool tag, as `!poolused` shows it: `Exec`.
const TAG: ULONG = u32::from_le_bytes(*b"Exec");

#[link(name = "ntoskrnl")]
unsafe extern "C" {
    /// The allocator of old drivers, which some kits' bindings leave out.
    fn ExAllocatePoolWithTag(pool: POOL_TYPE, size: u64, tag: ULONG) -> PVOID;
}

/// See the crate's documentation.
enum AsksForExecutablePool {}

impl TestDriver for AsksForExecutablePool {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        let pool = if unsafe { asks_for_fault(irp) } {
            NonPagedPool
        } else {
            NonPagedPoolNx
        };
        let status = allocate_and_free(pool);
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, status) }
    }
}

fn allocate_and_free(pool: POOL_TYPE) -> NTSTATUS {
    // SAFETY: a size that is not 0, at PASSIVE_LEVEL.
    let memory = unsafe { ExAllocatePoolWithTag(pool, SIZE, TAG) }; // BUG: NonPagedPool is executable
    if memory.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: allocated above.
    unsafe { ExFreePool(memory) };
    STATUS_SUCCESS
}

driver_entry!(AsksForExecutablePool);
