//! A driver whose DPC completes a request that its cancel routine has.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL` with 5, cancelled at once. The request is pended with a cancel routine, and the DPC completes it. Who gets
//! the cancel routine back from `IoSetCancelRoutine` owns the IRP; with 5 the DPC does not look, with 4 it does. Windows: bug check 0x44,
//! `MULTIPLE_IRP_COMPLETE_REQUESTS`, or 0xD5, an access to freed memory.
#![no_std]

use core::{
    ptr::null_mut,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst},
};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish, mark_pending};
use wdk_sys::{
    DEVICE_OBJECT, IRP, KIRQL, NTSTATUS, PDRIVER_CANCEL, PIRP, STATUS_CANCELLED, STATUS_PENDING, STATUS_SUCCESS,
    ntddk::{IoAcquireCancelSpinLock, IoReleaseCancelSpinLock},
};

/// Whether the last request asked for the fault.
static ASKED: AtomicBool = AtomicBool::new(false);
/// The request that is pended; null when there is none.
static HELD: AtomicPtr<IRP> = AtomicPtr::new(null_mut());

/// See the crate's documentation.
enum CompletesWhatCancelHas {}

impl TestDriver for CompletesWhatCancelHas {
    type State = ();

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver, with its input.
        ASKED.store(unsafe { asks_for_fault(irp) }, SeqCst);
        // SAFETY: the IRP is at this driver.
        unsafe { mark_pending(irp) };
        let irql = acquire_cancel_lock();
        // SAFETY: the IRP is at this driver.
        let cancelled = unsafe { (*irp).Cancel } != 0;
        if !cancelled {
            HELD.store(irp, SeqCst);
            // SAFETY: the IRP is at this driver.
            let _ = unsafe { set_cancel_routine(irp, Some(cancel)) };
        }
        // SAFETY: acquired above.
        unsafe { IoReleaseCancelSpinLock(irql) };
        if cancelled {
            // SAFETY: the IRP is at this driver, which gives it up.
            let _ = unsafe { finish(irp, STATUS_CANCELLED) };
        } else {
            device.raise_interrupt();
        }
        STATUS_PENDING
    }

    fn deferred(_device: Device<Self>) {
        if ASKED.load(SeqCst) {
            let irp = HELD.swap(null_mut(), SeqCst);
            if !irp.is_null() {
                // SAFETY: none: a cancel routine that is called meanwhile has the IRP.
                let _ = unsafe { set_cancel_routine(irp, None) }; // BUG: does not look whether the cancel routine has the IRP
                // SAFETY: none, as above.
                let status = unsafe { finish(irp, STATUS_SUCCESS) }; // BUG: completes what the cancel routine has
                core::hint::black_box(status);
            }
            return;
        }
        let irql = acquire_cancel_lock();
        let irp = HELD.swap(null_mut(), SeqCst);
        if !irp.is_null() {
            // SAFETY: the cancel routine takes the IRP away under the cancel spin lock, which is held here.
            let _ = unsafe { set_cancel_routine(irp, None) };
        }
        // SAFETY: acquired above.
        unsafe { IoReleaseCancelSpinLock(irql) };
        if !irp.is_null() {
            // SAFETY: the IRP is this routine's: nobody else finds it any more.
            let _ = unsafe { finish(irp, STATUS_SUCCESS) };
        }
    }
}

fn acquire_cancel_lock() -> KIRQL {
    let mut irql = 0;
    // SAFETY: the IRQL is DISPATCH_LEVEL or below, and the lock is not held.
    unsafe { IoAcquireCancelSpinLock(&raw mut irql) };
    irql
}

/// `IoSetCancelRoutine`: whether a routine was set before.
///
/// # Safety
/// The IRP must be at this driver.
#[inline]
unsafe fn set_cancel_routine(irp: PIRP, routine: PDRIVER_CANCEL) -> bool {
    // SAFETY: only an address is computed, within the IRP.
    let slot = unsafe { &raw mut (*irp).CancelRoutine };
    // SAFETY: the field is as large as a pointer, and everybody changes it by atomic exchange.
    let slot = unsafe { AtomicUsize::from_ptr(slot.cast()) };
    slot.swap(routine.map_or(0, |routine| routine as usize), SeqCst) != 0
}

/// The cancel routine.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn cancel(_device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // The exchange fails where the DPC has the request already.
    let _ = HELD.compare_exchange(irp, null_mut(), SeqCst, SeqCst);
    // SAFETY: the IRP is this routine's, unless the DPC breaks its rule.
    let irql = unsafe { (*irp).CancelIrql }; // BUG: the DPC may have completed the IRP
    // SAFETY: the I/O manager has acquired it.
    unsafe { IoReleaseCancelSpinLock(irql) };
    // SAFETY: as for the IRQL.
    let status = unsafe { finish(irp, STATUS_CANCELLED) }; // BUG: the DPC may have completed the IRP
    // A last call that becomes a jump is in no call stack.
    core::hint::black_box(status);
}

driver_entry!(CompletesWhatCancelHas);
