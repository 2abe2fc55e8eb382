//! Passing an IRP to the lower driver: the one place where its next stack location is made.

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, NTSTATUS, PDEVICE_OBJECT, PIO_COMPLETION_ROUTINE, SL_INVOKE_ON_CANCEL,
    SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, STATUS_MORE_PROCESSING_REQUIRED,
    ntddk::{IofCallDriver, KeSetEvent},
};

use super::raw::{current_stack_location, current_stack_location_slot, is_marked_pending, status};
use crate::{
    event::StackEvent,
    irql::{Irql, Passive},
    status::Status,
};

/// Gives the IRP to the lower driver, which sees the request as this one did and completes it: `IoCallDriver`, after
/// `IoSkipCurrentIrpStackLocation`; or after `IoCopyCurrentIrpStackLocationToNext`, if the IRP was marked pending, since the lower driver must not
/// find, nor clear, that mark in its own stack location.
///
/// # Safety
/// The IRP must be at this driver and owned; the caller gives it up. `lower` must be the next-lower device object. At most
/// `DISPATCH_LEVEL`, no spin lock held.
pub(crate) unsafe fn pass_down(irp: NonNull<IRP>, lower: PDEVICE_OBJECT) -> Status {
    // SAFETY: promised by the caller.
    if unsafe { is_marked_pending(irp) } {
        // SAFETY: promised by the caller.
        unsafe { copy_to_next(irp, 0, None, core::ptr::null_mut()) };
    } else {
        // SAFETY: promised by the caller.
        unsafe { skip_current(irp) };
    }
    // SAFETY: promised by the caller.
    Status::from_raw(unsafe { IofCallDriver(lower, irp.as_ptr()) })
}

/// Gives the IRP to the lower driver, and has `routine` called with `context` when that driver has completed it, whatever the outcome:
/// `IoCopyCurrentIrpStackLocationToNext`, `IoSetCompletionRoutine`, `IoCallDriver`.
///
/// # Safety
/// As [`pass_down`]; the routine must fit the context, and both be there until it has been called.
pub(crate) unsafe fn pass_down_with_routine(
    irp: NonNull<IRP>,
    lower: PDEVICE_OBJECT,
    routine: PIO_COMPLETION_ROUTINE,
    context: *mut c_void,
) -> Status {
    #[expect(clippy::cast_possible_truncation, reason = "the control flags have 8 bits")]
    const WHATEVER_THE_OUTCOME: u8 = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;

    // SAFETY: promised by the caller.
    unsafe { copy_to_next(irp, WHATEVER_THE_OUTCOME, routine, context) };
    // SAFETY: promised by the caller.
    Status::from_raw(unsafe { IofCallDriver(lower, irp.as_ptr()) })
}

/// Sends the IRP to the lower driver and waits until every lower driver is done with it. It is at this driver again afterwards,
/// and owned by the caller as before. Returns its status.
///
/// DDIs: `IoCopyCurrentIrpStackLocationToNext`, `IoSetCompletionRoutine`, `IoCallDriver`, `KeWaitForSingleObject`; as described in
/// [Postponing PnP IRP Processing](https://learn.microsoft.com/windows-hardware/drivers/kernel/postponing-pnp-irp-processing-until-lower-drivers-finish).
///
/// # Safety
/// The IRP must be at this driver and owned; `lower` must be the next-lower device object.
pub(crate) unsafe fn forward_and_wait(irp: NonNull<IRP>, lower: PDEVICE_OBJECT, irql: &mut Irql<Passive>) -> Status {
    StackEvent::with_wait(irql, |event| {
        // SAFETY: promised by the caller. The completion routine takes the IRP back; the event lives until then.
        let returned = unsafe { pass_down_with_routine(irp, lower, Some(take_back), event.cast()) };
        ((), returned == Status::PENDING)
    });
    // SAFETY: the completion routine stopped the completion at this driver, which owns the IRP again.
    unsafe { status(irp) }
}

/// `IoSkipCurrentIrpStackLocation`.
///
/// # Safety
/// The IRP must be at this driver, owned and not marked pending.
unsafe fn skip_current(irp: NonNull<IRP>) {
    // SAFETY: the IRP is owned.
    let location = unsafe { &mut (*irp.as_ptr()).CurrentLocation };
    *location += 1;
    // SAFETY: as above.
    let slot = unsafe { current_stack_location_slot(irp) };
    // SAFETY: the slot is in the IRP.
    let current = unsafe { slot.read() };
    // SAFETY: the stack locations are an array, and this driver's is not the last one: its caller had the one above.
    let above = unsafe { current.add(1) };
    // SAFETY: the slot is in the IRP.
    unsafe { slot.write(above) };
}

/// `IoCopyCurrentIrpStackLocationToNext`, with the given control flags and completion routine.
///
/// # Safety
/// The IRP must be at this driver and owned, with a stack location for the lower driver.
unsafe fn copy_to_next(irp: NonNull<IRP>, control: u8, routine: PIO_COMPLETION_ROUTINE, context: *mut c_void) {
    // SAFETY: promised by the caller.
    let mut copy: IO_STACK_LOCATION = *unsafe { current_stack_location(irp) };
    copy.Control = control;
    copy.CompletionRoutine = routine;
    copy.Context = context;
    // SAFETY: promised by the caller.
    let slot = unsafe { current_stack_location_slot(irp) };
    // SAFETY: the slot is in the IRP.
    let current = unsafe { slot.read() };
    // SAFETY: the IRP has a stack location for the lower driver, one before the current one.
    let next = unsafe { current.sub(1) };
    // SAFETY: it is this driver's to write.
    unsafe { next.write(copy) };
}

/// Stops the completion, so that the sender has its IRP back, and wakes it.
///
/// # Safety
/// To be called by the I/O manager only, with the event of `forward_and_wait`.
unsafe extern "C" fn take_back(_device: *mut DEVICE_OBJECT, irp: *mut IRP, event: *mut c_void) -> NTSTATUS {
    // SAFETY: the IRP is being completed and at this driver. Only where a lower driver pended does the sender wait.
    if unsafe { (*irp).PendingReturned } != 0 {
        // SAFETY: the sender waits for the event, which lives until then.
        unsafe { KeSetEvent(event.cast(), 0, 0) };
    }
    STATUS_MORE_PROCESSING_REQUIRED
}
