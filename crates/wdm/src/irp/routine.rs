//! Registering a completion routine, so that the driver's image is there until it has returned.

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    DEVICE_OBJECT, IRP, NTSTATUS, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS,
    ntddk::IoSetCompletionRoutineEx,
};

use super::raw::next_stack_location;
use crate::{device::Header, error::Result, status::Status};

/// An `IO_COMPLETION_ROUTINE`.
pub(crate) type IoCompletionRoutine = unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, *mut c_void) -> NTSTATUS;

/// A completion routine and its context.
///
/// The routine is registered with [`IoSetCompletionRoutineEx`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iosetcompletionroutineex).
/// When it lets the IRP go, or sets the event that its sender waits for, the device may be removed by another thread, the driver be unloaded, and the
/// routine return into an image that is gone. The remove lock does not help: the routine itself gives it back, and runs on. A routine registered so
/// keeps the driver from being unloaded until it has returned.
///
/// What the page says of that:
/// - The registration can fail, with `STATUS_INSUFFICIENT_RESOURCES`: it allocates memory, which is given back when the routine is called. So who has
///   registered one sends the IRP.
/// - The routine has to be one of the driver that owns the device object. It is for that reason that the routine is not unloaded before it returns.
///
/// (Where the page compares it with `IoSetCompletionRoutine` it says less: that a driver that is no Plug and Play driver is there until the routine is
/// called. This layer relies on the other sentence.)
#[derive(Clone, Copy)]
pub(crate) struct Routine {
    call: IoCompletionRoutine,
    context: *mut c_void,
    /// The request must go down, whether there is memory or not.
    must_go: bool,
}

impl Routine {
    /// For a request that can fail where there is no memory.
    pub(crate) const fn new(call: IoCompletionRoutine, context: *mut c_void) -> Self {
        Self {
            call,
            context,
            must_go: false,
        }
    }

    /// For a PnP or power request: most of them no driver may fail. Where there is no memory `IoSetCompletionRoutine` is used, an inline function, which
    /// needs none: what is missing then is that nothing keeps the image for the last instructions of the routine.
    pub(crate) const fn that_must_go(call: IoCompletionRoutine, context: *mut c_void) -> Self {
        Self {
            call,
            context,
            must_go: true,
        }
    }

    /// `IoSetCompletionRoutineEx`, for every outcome.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, for a request that can fail.
    ///
    /// # Safety
    /// The IRP must be at this driver and owned, with a next stack location that is filled in, and be sent if this succeeds. The routine must fit its
    /// context, and that be there until it has been called.
    pub(super) unsafe fn register(self, irp: NonNull<IRP>, header: &Header) -> Result<()> {
        // SAFETY: promised by the caller; the device object is this driver's, and that of the current stack location.
        let status = unsafe {
            IoSetCompletionRoutineEx(
                header.device().as_ptr(),
                irp.as_ptr(),
                Some(self.call),
                self.context,
                1,
                1,
                1,
            )
        };
        Status::from_raw(status).into_result().or_else(|error| {
            if !self.must_go {
                return Err(error);
            }
            // SAFETY: promised by the caller.
            unsafe { self.register_without_memory(irp) };
            Ok(())
        })
    }

    /// `IoSetCompletionRoutine`, for every outcome.
    ///
    /// # Safety
    /// As [`register`](Self::register).
    unsafe fn register_without_memory(self, irp: NonNull<IRP>) {
        #[expect(clippy::cast_possible_truncation, reason = "the control flags have 8 bits")]
        const WHATEVER_THE_OUTCOME: u8 = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;

        // SAFETY: promised by the caller.
        let next = unsafe { next_stack_location(irp) };
        // SAFETY: it is this driver's to write.
        let next = unsafe { &mut *next };
        next.CompletionRoutine = Some(self.call);
        next.Context = self.context;
        next.Control = WHATEVER_THE_OUTCOME;
    }
}
