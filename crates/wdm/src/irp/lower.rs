//! Passing an IRP to the lower driver.

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, KEVENT, NTSTATUS, PDEVICE_OBJECT, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR,
    SL_INVOKE_ON_SUCCESS, STATUS_MORE_PROCESSING_REQUIRED,
    ntddk::{IofCallDriver, KeSetEvent},
};

use super::raw::{current_stack_location, current_stack_location_slot, status};
use crate::{
    event::StackEvent,
    irql::{Irql, Passive},
    status::Status,
};

/// `IoSkipCurrentIrpStackLocation` and `IoCallDriver`: the lower driver sees the request as this one did, and completes it.
///
/// # Safety
/// The IRP must be at this driver and owned; the caller gives it up. `lower` must be the next-lower device object. At most
/// `DISPATCH_LEVEL`, no spin lock held.
pub(crate) unsafe fn pass_down(irp: NonNull<IRP>, lower: PDEVICE_OBJECT) -> Status {
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
        // SAFETY: the IRP is owned.
        unsafe { copy_to_next(irp, event) };
        // SAFETY: promised by the caller. The completion routine takes the IRP back.
        let returned = unsafe { IofCallDriver(lower, irp.as_ptr()) };
        ((), returned == Status::PENDING.as_raw())
    });
    // SAFETY: the completion routine stopped the completion at this driver, which owns the IRP again.
    unsafe { status(irp) }
}

/// `IoCopyCurrentIrpStackLocationToNext` and `IoSetCompletionRoutine` for all outcomes, with `event` to be set.
///
/// # Safety
/// The IRP must be at this driver and owned, with a stack location for the lower driver; `event` must live until it is set.
unsafe fn copy_to_next(irp: NonNull<IRP>, event: *mut KEVENT) {
    // SAFETY: promised by the caller.
    let mut copy: IO_STACK_LOCATION = *unsafe { current_stack_location(irp) };
    #[expect(clippy::cast_possible_truncation, reason = "the control flags have 8 bits")]
    let control = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;
    copy.Control = control;
    copy.CompletionRoutine = Some(take_back);
    copy.Context = event.cast();
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
