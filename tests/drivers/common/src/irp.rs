//! What `wdm.h` defines as inline functions and macros over the fields of an IRP.

use core::ffi::c_void;

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    _MODE::KernelMode,
    DEVICE_OBJECT, IO_STACK_LOCATION, IRP, KEVENT, KPROCESSOR_MODE, NTSTATUS, PDEVICE_OBJECT, PIRP,
    SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING,
    ntddk::{IofCallDriver, IofCompleteRequest, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject},
};

/// The processor mode of a driver's waits.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "an enumeration is signed in some kits, unsigned in others"
)]
pub(crate) const KERNEL_MODE: KPROCESSOR_MODE = KernelMode as KPROCESSOR_MODE;

/// Where the IRP keeps the address of its current stack location.
///
/// # Safety
/// The IRP must be valid.
const unsafe fn stack_location_slot(irp: PIRP) -> *mut *mut IO_STACK_LOCATION {
    // SAFETY: only an address is computed, within the IRP.
    unsafe {
        &raw mut (*irp)
            .Tail
            .Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    }
}

/// `IoGetCurrentIrpStackLocation`.
///
/// # Safety
/// The IRP must be at this driver.
pub unsafe fn stack_location(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: promised by the caller.
    let slot = unsafe { stack_location_slot(irp) };
    // SAFETY: the slot lies in the IRP.
    unsafe { *slot }
}

/// `IoMarkIrpPending`.
///
/// # Safety
/// The IRP must be at this driver and owned by the caller.
#[inline]
pub unsafe fn mark_pending(irp: PIRP) {
    // SAFETY: promised by the caller.
    let location = unsafe { stack_location(irp) };
    // SAFETY: as above.
    let control = unsafe { &mut (*location).Control };
    *control |= PENDING_RETURNED;
}

/// Sets `Irp->IoStatus`, without output.
///
/// # Safety
/// The IRP must be at this driver and owned by the caller.
pub unsafe fn set_status(irp: PIRP, status: NTSTATUS) {
    // SAFETY: promised by the caller.
    let block = unsafe { &mut (*irp).IoStatus };
    block.__bindgen_anon_1.Status = status;
    block.Information = 0;
}

/// Completes the IRP without output, and returns the status.
///
/// # Safety
/// The IRP must be at this driver; the caller gives it up.
pub(crate) unsafe fn complete(irp: PIRP, status: NTSTATUS) -> NTSTATUS {
    // SAFETY: promised by the caller.
    unsafe { set_status(irp, status) };
    // SAFETY: promised by the caller. No priority boost.
    unsafe { IofCompleteRequest(irp, 0) };
    status
}

/// `IoSkipCurrentIrpStackLocation` and `IoCallDriver`.
///
/// # Safety
/// The IRP must be at this driver, the caller gives it up, and `lower` must be the next-lower device object.
pub unsafe fn pass_down(irp: PIRP, lower: PDEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: promised by the caller.
    let location = unsafe { &mut (*irp).CurrentLocation };
    *location += 1;
    // SAFETY: as above.
    let slot = unsafe { stack_location_slot(irp) };
    // SAFETY: the slot lies in the IRP.
    let current = unsafe { &mut *slot };
    *current = current.wrapping_add(1);
    // SAFETY: promised by the caller.
    unsafe { IofCallDriver(lower, irp) }
}

/// Sends the IRP to the lower driver and waits until it is done; the caller has the IRP back then. Returns its status.
///
/// IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
/// The IRP must be at this driver and owned by the caller; `lower` must be the next-lower device object.
pub unsafe fn forward_and_wait(irp: PIRP, lower: PDEVICE_OBJECT) -> NTSTATUS {
    let mut event = KEVENT::default();
    // SAFETY: the event is a local variable of a function that waits for it.
    unsafe { KeInitializeEvent(&raw mut event, NotificationEvent, 0) };
    // SAFETY: promised by the caller.
    let current = unsafe { stack_location(irp) };
    // SAFETY: as above.
    let mut next = unsafe { *current };
    next.Control = INVOKE_ALWAYS;
    next.CompletionRoutine = Some(take_back);
    next.Context = (&raw mut event).cast();
    // SAFETY: the IRP has a stack location for the lower driver, one before the current one.
    unsafe { current.wrapping_sub(1).write(next) };
    // SAFETY: promised by the caller.
    let mut status = unsafe { IofCallDriver(lower, irp) };
    if status == STATUS_PENDING {
        // SAFETY: the event is initialised, and the stack stays in memory during a wait in kernel mode. A wait without a time limit
        // that is not alertable has one outcome.
        let _ = unsafe {
            KeWaitForSingleObject(
                (&raw mut event).cast(),
                Executive,
                KERNEL_MODE,
                0,
                core::ptr::null_mut(),
            )
        };
        // SAFETY: the completion routine took the IRP back.
        let block = unsafe { &(*irp).IoStatus.__bindgen_anon_1 };
        // SAFETY: the lower driver has set the status.
        status = unsafe { block.Status };
    }
    status
}

/// `SL_PENDING_RETURNED` of a stack location's control flags.
const PENDING_RETURNED: u8 = 0x01;

#[expect(clippy::cast_possible_truncation, reason = "the control flags have 8 bits")]
const INVOKE_ALWAYS: u8 = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;

/// The completion routine of `forward_and_wait`.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn take_back(_device: *mut DEVICE_OBJECT, irp: *mut IRP, event: *mut c_void) -> NTSTATUS {
    // SAFETY: the IRP is being completed and at this driver. Only where a lower driver pended does the sender wait.
    if unsafe { (*irp).PendingReturned } != 0 {
        // SAFETY: the sender waits for the event.
        unsafe { KeSetEvent(event.cast(), 0, 0) };
    }
    STATUS_MORE_PROCESSING_REQUIRED
}
