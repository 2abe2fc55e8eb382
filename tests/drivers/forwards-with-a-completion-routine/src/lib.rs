//! A driver that passes a PnP query down with a completion routine and returns what `IoCallDriver` returned.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`, then `IRP_MN_QUERY_PNP_DEVICE_STATE`, for which the bus driver sometimes pends. After a 4 the completion
//! routine marks the IRP pending when `PendingReturned` is set, as `IoMarkIrpPending` documents; after a 5 it does not. Windows with Driver
//! Verifier: bug check 0xC9 with 0x228.
#![no_std]

use core::{
    ffi::c_void,
    mem::offset_of,
    ptr::null_mut,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish, mark_pending, stack_location};
use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, IRP_MN_QUERY_PNP_DEVICE_STATE, NTSTATUS, PDEVICE_OBJECT,
    PIO_COMPLETION_ROUTINE, PIRP, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, STATUS_SUCCESS,
    ntddk::IofCallDriver,
};

/// A request has asked for the right way.
const RIGHT: u32 = 1;
/// A request has asked for the fault.
const FAULT: u32 = 2;

#[expect(clippy::cast_possible_truncation, reason = "the control flags have 8 bits")]
const INVOKE_ALWAYS: u8 = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;

/// What the last request asked for; 0 when there was none.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// How many requests have come back: something to do for a routine that would otherwise be merged with others that return 0.
static COMPLETED: AtomicU32 = AtomicU32::new(0);

/// See the crate's documentation.
enum ForwardsWithACompletionRoutine {}

impl TestDriver for ForwardsWithACompletionRoutine {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver, with its input.
        let fault = unsafe { asks_for_fault(irp) };
        ASKED.store(if fault { FAULT } else { RIGHT }, Relaxed);
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }

    unsafe fn plug_and_play(_device: Device<Self>, lower: PDEVICE_OBJECT, irp: PIRP, minor: u32) -> Option<NTSTATUS> {
        let routine: PIO_COMPLETION_ROUTINE = match ASKED.load(Relaxed) {
            RIGHT => Some(propagate),
            FAULT => Some(lose),
            _ => return None,
        };
        if minor != IRP_MN_QUERY_PNP_DEVICE_STATE {
            return None;
        }
        // SAFETY: the IRP is at this driver.
        let current = unsafe { stack_location(irp) };
        let next = current.wrapping_sub(1);
        let copied = offset_of!(IO_STACK_LOCATION, CompletionRoutine);
        // SAFETY: the IRP has a stack location for the lower driver, one before the current one.
        unsafe { core::ptr::copy_nonoverlapping(current.cast::<u8>(), next.cast::<u8>(), copied) };
        // SAFETY: as above.
        let next = unsafe { &mut *next };
        next.CompletionRoutine = routine;
        next.Context = null_mut();
        next.Control = INVOKE_ALWAYS;
        // SAFETY: the IRP is at this driver, which gives it up.
        Some(unsafe { IofCallDriver(lower, irp) })
    }
}

/// A completion routine as it has to be.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn propagate(_device: *mut DEVICE_OBJECT, irp: *mut IRP, _context: *mut c_void) -> NTSTATUS {
    // SAFETY: the IRP is being completed and at this driver.
    if unsafe { (*irp).PendingReturned } != 0 {
        // SAFETY: as above.
        unsafe { mark_pending(irp) };
    }
    STATUS_SUCCESS
}

/// A completion routine that does not look at `PendingReturned`.
///
/// # Safety
/// To be called by the I/O manager only.
#[rustfmt::skip]
unsafe extern "C" fn lose(_: *mut DEVICE_OBJECT, _: *mut IRP, _: *mut c_void) -> NTSTATUS { // BUG: does not look at PendingReturned
    COMPLETED.fetch_add(1, Relaxed); // BUG: the pending bit is lost
    STATUS_SUCCESS
}

driver_entry!(ForwardsWithACompletionRoutine);
