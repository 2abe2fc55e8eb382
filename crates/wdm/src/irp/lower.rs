//! Passing an IRP to the lower driver: the one place where its next stack location is made.

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, KEVENT, NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED,
    ntddk::{IofCallDriver, KeSetEvent},
};

use super::{
    raw::{
        current_stack_location, current_stack_location_slot, finish, is_marked_pending, next_stack_location,
        set_status, status,
    },
    routine::Routine,
};
use crate::{
    device::Header,
    error::{Error, Result},
    event::StackEvent,
    irql::{Irql, Passive},
    status::Status,
};

/// Gives the IRP to the lower driver, which sees the request as this one did and completes it: `IoCallDriver`, after
/// `IoSkipCurrentIrpStackLocation`; or after `IoCopyCurrentIrpStackLocationToNext`, if the IRP was marked pending, since the lower driver must not
/// find, nor clear, that mark in its own stack location.
///
/// Where the lower driver cannot be called any more (`Lower::call`) the IRP is completed here, with what that says.
///
/// # Safety
/// The IRP must be at this driver and owned, in the stack location of `header`'s device; the caller gives it up. At most `DISPATCH_LEVEL`, no spin
/// lock held. The header must stay until this returns.
pub(crate) unsafe fn pass_down(irp: NonNull<IRP>, header: &Header) -> Status {
    let called = header.lower.call(|lower| {
        // SAFETY: promised by the caller.
        if unsafe { is_marked_pending(irp) } {
            // SAFETY: promised by the caller.
            unsafe { copy_to_next(irp) };
        } else {
            // SAFETY: promised by the caller.
            unsafe { skip_current(irp) };
        }
        // SAFETY: promised by the caller; the lower device is there until this closure returns.
        Status::from_raw(unsafe { IofCallDriver(lower.as_ptr(), irp.as_ptr()) })
    });
    called.unwrap_or_else(|error| {
        // SAFETY: promised by the caller.
        unsafe { finish(irp, error.into()) };
        error.into()
    })
}

/// As [`pass_down`], for a request that this driver has no part in any more: gives its remove lock back as well.
///
/// # Safety
/// As there, with the remove lock of `header` acquired for the IRP. The device may be gone when this returns.
pub(crate) unsafe fn pass_on(irp: NonNull<IRP>, header: &Header) -> Status {
    // SAFETY: promised by the caller; the remove lock keeps the header.
    let status = unsafe { pass_down(irp, header) };
    // SAFETY: acquired for the IRP, whose address serves as a tag only.
    unsafe { header.remove_lock.release(irp.as_ptr().cast()) };
    status
}

/// Gives the IRP to the lower driver, and has `routine` called when that driver has completed it, whatever the outcome:
/// `IoCopyCurrentIrpStackLocationToNext`, `IoSetCompletionRoutineEx`, `IoCallDriver`.
///
/// # Errors
/// What `Lower::call` says, or what the routine cannot be registered for. The IRP is the caller's still.
///
/// # Safety
/// As [`pass_down`], but for the error; the routine must fit its context, and that be there until it has been called.
pub(crate) unsafe fn pass_down_with_routine(irp: NonNull<IRP>, header: &Header, routine: Routine) -> Result<()> {
    let sent = header.lower.call(|lower| {
        // SAFETY: promised by the caller.
        unsafe { copy_to_next(irp) };
        // SAFETY: promised by the caller; the IRP is sent, if this succeeds.
        unsafe { routine.register(irp, header) }?;
        // SAFETY: promised by the caller; the lower device is there until this closure returns. Who gets the IRP back is told by the routine.
        let _ = unsafe { IofCallDriver(lower.as_ptr(), irp.as_ptr()) };
        Ok(())
    });
    sent?
}

/// Sends the IRP to the lower driver and waits until every lower driver is done with it. It is at this driver again afterwards,
/// and owned by the caller as before. Returns its status.
///
/// DDIs: `IoCopyCurrentIrpStackLocationToNext`, `IoSetCompletionRoutineEx`, `IoCallDriver`, `KeWaitForSingleObject`; as described in
/// [Postponing PnP IRP Processing](https://learn.microsoft.com/windows-hardware/drivers/kernel/postponing-pnp-irp-processing-until-lower-drivers-finish).
///
/// # Safety
/// The IRP must be a PnP request other than `IRP_MN_REMOVE_DEVICE`, at this driver and owned, in the stack location of `header`'s device.
pub(crate) unsafe fn forward_and_wait(irp: NonNull<IRP>, header: &Header, irql: &mut Irql<Passive>) -> Status {
    let send = |event| {
        header.lower.call(|lower| {
            // SAFETY: promised by the caller; the lower device is there until this closure returns.
            unsafe { send_with_event(irp, header, lower, event) }
        })
    };
    // SAFETY: promised by the caller.
    unsafe { wait_for(irp, send, irql) }
}

/// As [`forward_and_wait`], for `IRP_MN_REMOVE_DEVICE`. Nobody calls the lower driver any more when it is sent, nor ever after.
///
/// # Safety
/// The IRP must be that request, at this driver and owned.
pub(crate) unsafe fn forward_removal_and_wait(irp: NonNull<IRP>, header: &Header, irql: &mut Irql<Passive>) -> Status {
    let lower = header.lower.close(irql).ok_or(Error::DEVICE_NOT_READY);
    let send = |event| {
        lower.map(|lower| {
            // SAFETY: promised by the caller; the lower device is there, since its driver has not had this request.
            unsafe { send_with_event(irp, header, lower, event) }
        })
    };
    // SAFETY: promised by the caller.
    unsafe { wait_for(irp, send, irql) }
}

/// Has `send` send the IRP, and waits for it to come back; its status.
///
/// # Safety
/// The IRP must be at this driver and owned. `send` must send it by [`send_with_event`], or fail.
unsafe fn wait_for(
    irp: NonNull<IRP>,
    send: impl FnOnce(*mut KEVENT) -> Result<Status>,
    irql: &mut Irql<Passive>,
) -> Status {
    StackEvent::with_wait(irql, |event| match send(event) {
        Ok(returned) => ((), returned == Status::PENDING),
        Err(error) => {
            // SAFETY: the IRP was not sent.
            unsafe { set_status(irp, error.into(), 0) };
            ((), false)
        }
    });
    // SAFETY: the completion routine stopped the completion at this driver, which owns the IRP again.
    unsafe { status(irp) }
}

/// Sends the IRP; [`take_back`] stops its completion at this driver, and sets the event if it was pended. What the lower driver returned.
///
/// # Safety
/// As [`forward_and_wait`]; `lower` must be the next-lower device object, and the event be waited for if this returns `STATUS_PENDING`.
unsafe fn send_with_event(
    irp: NonNull<IRP>,
    header: &Header,
    lower: NonNull<DEVICE_OBJECT>,
    event: *mut KEVENT,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe { copy_to_next(irp) };
    let routine = Routine::that_must_go(take_back, event.cast());
    // SAFETY: promised by the caller; the IRP is sent. The event lives until the routine has set it. A request that must go has no other outcome.
    let _ = unsafe { routine.register(irp, header) };
    // SAFETY: promised by the caller.
    Status::from_raw(unsafe { IofCallDriver(lower.as_ptr(), irp.as_ptr()) })
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

/// `IoCopyCurrentIrpStackLocationToNext`: without control flags and completion routine.
///
/// # Safety
/// The IRP must be at this driver and owned, with a stack location for the lower driver.
unsafe fn copy_to_next(irp: NonNull<IRP>) {
    // SAFETY: promised by the caller.
    let mut copy: IO_STACK_LOCATION = *unsafe { current_stack_location(irp) };
    copy.Control = 0;
    copy.CompletionRoutine = None;
    copy.Context = core::ptr::null_mut();
    // SAFETY: promised by the caller.
    let next = unsafe { next_stack_location(irp) };
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
