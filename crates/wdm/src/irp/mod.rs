//! I/O request packets (IRPs), and who is responsible for one.
//!
//! An [`Irp`] is owned, and every callback that is given one has to say what became of it: the callback's return type is
//! [`Disposed`], with the same brand `'i` as the IRP, and only completing, queueing or passing down *that* IRP makes one. An IRP
//! completed twice, completed and then queued, or forgotten does not compile.
//!
//! An [`Irp`] is never [`Send`]. It belongs to no thread, but the bound is what the safe layer asks "holds no IRP" by: whatever runs under a lock,
//! or is kept in one, or runs in an ISR, is demanded to be `Send`, so that no IRP is completed, dropped or kept there. A closure that owns or borrows
//! an IRP is refused with that error.
//!
//! | from | by | to |
//! |---|---|---|
//! | the I/O manager | a dispatch routine's [`Irp`] | the driver |
//! | the driver | [`complete`](Irp::complete) | the I/O manager, for good |
//! | | [`insert`](crate::CancelSafeQueue::insert) | a queue, which completes it when it is cancelled |
//! | a queue | [`remove_next`](crate::CancelSafeQueue::remove_next) | the driver, which gets it with a brand of its own |
//! | | [`end_current`](crate::LockedQueue::end_current) | the I/O manager, for good, when the queue's lock is released |
//! | the driver | [`forward`](Irp::forward) | the lower driver, for good |
//! | | [`forward_with`](Irp::forward_with) | the lower driver, until that has completed it |
//! | the lower driver | a [`CompletionRoutine`]'s [`ReturnedIrp`] | the driver |
//! | the driver | [`continue_completion`](ReturnedIrp::continue_completion) | the I/O manager, which goes on with the drivers above |
//! | | [`complete_unchanged`](ReturnedIrp::complete_unchanged) | the I/O manager, with the lower driver's answer |
//! | | [`into_irp`](ReturnedIrp::into_irp) | the driver, as an [`Irp`] to work on once more |
//!
//! # The end of a handle
//!
//! When the last handle of a file object is closed the driver gets `IRP_MJ_CLEANUP`, and ends the requests in its queues that were made through it:
//! `cancel_all_of` of each queue. A request that the driver has outside of its queues just then is not found: one that a dispatch routine has, that was
//! taken out, that is on its way back from the lower driver. Nobody will come for it. So the safe layer remembers the file object until its
//! `IRP_MJ_CLOSE`, and the request ends as if it had been in the queue, with `STATUS_CANCELLED`, where it would be kept once more: by a queue, whichever
//! of the device's it is, or by the [lower driver](Irp::forward). Completing it is not refused.
//!
//! - A request counts as the handle's if it came to the device before the `IRP_MJ_CLEANUP`. A program's request that came afterwards, because two of its
//!   threads raced, is queued no more either. One that a driver makes afterwards is as good as any other: a driver needs a reference to a file object
//!   only, and no handle.
//! - Queues are exact: what is in none of them is refused by all. The lower driver may be called at the same moment that the `IRP_MJ_CLEANUP` comes: what
//!   is passed down then is for its own queues to end, or for the sender to cancel.
//! - A device remembers as many file objects as it needs to. Where there is no memory for one more, every request that the driver has just then counts as
//!   one of it, when it is next to be kept. Paging I/O never counts as one: it needs no handle.
//!
//! See [DispatchCleanup Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/dispatchcleanup-routines).
//!
//! # The data of a request
//!
//! | request | input | output |
//! |---|---|---|
//! | device control, `METHOD_BUFFERED` | system buffer | the same system buffer |
//! | device control, `METHOD_IN_DIRECT` | system buffer | – |
//! | device control, `METHOD_OUT_DIRECT` | system buffer | the caller's memory, by an MDL |
//! | `IRP_MJ_WRITE` | system buffer or MDL, as [`IO_METHOD`](crate::DeviceExtension::IO_METHOD) says; in a filter, as the device below has it | – |
//! | `IRP_MJ_READ` | – | the same |
//!
//! The caller's memory can change at any time: what is read twice may differ. It must be [mapped](Irp::map_buffer) first, unless its bytes go to or come
//! from a [`CommonBuffer`](crate::CommonBuffer).
//!
//! ```no_run
//! use wdm::{Disposed, Irp, Irql, Result, Error, irql::UpToDispatch};
//!
//! /// `IRP_MJ_READ`, whether buffered or direct: as many times 7 as are asked for.
//! fn read<'i>(mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
//!     let filled = fill(&mut irp, irql);
//!     irp.complete(filled, irql)
//! }
//!
//! fn fill(irp: &mut Irp<'_>, irql: &mut Irql<UpToDispatch>) -> Result<()> {
//!     let asked = irp.read_write().ok_or(Error::INVALID_DEVICE_REQUEST)?;
//!     irp.map_buffer(irql)?;
//!     (0..asked.length).try_for_each(|_| irp.write_output(&7_u8))
//! }
//! # fn main() {}
//! ```

mod any_thread;
mod buffer;
mod completion;
mod disposed;
mod file_position;
mod forward;
mod lower;
mod major_function;
mod mdl;
mod raw;
mod request;
mod returned;
mod routine;
mod stack_rules;

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

pub use any_thread::AnyThreadRequest;
pub(crate) use buffer::{METHOD_MASK, read_input};
pub use completion::{Completed, CompletionRoutine};
use disposed::Brand;
pub use disposed::Disposed;
pub(crate) use lower::{forward_and_wait, forward_removal_and_wait, pass_down, pass_down_with_routine, pass_on};
pub use major_function::MajorFunction;
pub(crate) use raw::{
    arrival, clear_note, complete, complete_unchanged, current_stack_location, finish, information, is_cancelled,
    is_of_a_program, is_paging_io, mark_pending, note, set_arrival, set_outcome, set_status, status,
};
use raw::{note_slot, set_information};
pub use request::{DeviceControl, ReadWrite, Transfer};
use request::{device_control, read_write};
pub use returned::{IoStatus, ReturnedIrp};
pub(crate) use routine::{IoCompletionRoutine, Routine};
use wdk_sys::IRP;

use crate::{
    device::{FileObject, Header, Moment, Origin},
    error::{Error, Result},
    irql::{Irql, NoLockHeld},
    status::Status,
};

/// An IRP that this code is responsible for.
///
/// It carries a reference to its device's remove lock, so that the device stays until the IRP is completed.
///
/// ```no_run
/// use wdm::{Disposed, Irp, Irql, irql::UpToDispatch};
///
/// /// Answers a request at once.
/// fn answer<'i>(mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
///     let answered = irp.read_input::<u32>().and_then(|value| irp.write_output(&!value));
///     irp.complete(answered, irql)
/// }
/// # fn main() {}
/// ```
///
/// See [I/O Request Packets](https://learn.microsoft.com/windows-hardware/drivers/kernel/i-o-request-packets).
pub struct Irp<'i> {
    raw: NonNull<IRP>,
    header: NonNull<Header>,
    /// How many bytes of output have been written, or of input taken by the device. In `IoStatus.Information` while the IRP is in a queue.
    information: usize,
    /// When it came to this device.
    arrived: Moment,
    /// It means the same in every thread: [`vouch`](Self::vouch).
    is_vouched_for: bool,
    brand: Brand<'i>,
}

impl<'i> Irp<'i> {
    /// Takes responsibility for `raw`.
    ///
    /// # Safety
    /// The IRP must be at this driver, owned by the caller, with the remove lock of `header` acquired for it; `header` must be that of
    /// the device which the current stack location is for. The brand must be one that no other IRP has.
    pub(crate) unsafe fn new(raw: NonNull<IRP>, header: NonNull<Header>) -> Self {
        // SAFETY: promised by the caller.
        unsafe { clear_note(raw) };
        // SAFETY: the remove lock keeps the header.
        let arrived = unsafe { header.as_ref() }.cleanups.now();
        Self {
            raw,
            header,
            information: 0,
            arrived,
            is_vouched_for: false,
            brand: PhantomData,
        }
    }

    /// As [`new`](Self::new), for an IRP that was queued, or at the lower driver: what has been transferred is so still, and it came when it came.
    ///
    /// # Safety
    /// As there, and `IoStatus.Information` must say what was transferred, as [`into_raw`](Self::into_raw) leaves it. An IRP that is in a queue of this driver
    /// need not be owned, if the queue is locked as long as the value is used, and the value is not disposed of.
    pub(crate) const unsafe fn from_queue(raw: NonNull<IRP>, header: NonNull<Header>, arrived: Moment) -> Self {
        Self {
            raw,
            header,
            // SAFETY: promised by the caller.
            information: unsafe { information(raw) },
            arrived,
            is_vouched_for: false,
            brand: PhantomData,
        }
    }

    pub(crate) const fn header(&self) -> NonNull<Header> {
        self.header
    }

    /// When it came to the device.
    pub(crate) const fn arrived(&self) -> Moment {
        self.arrived
    }

    /// What is asked about it when handles are closed.
    pub(crate) fn origin(&self) -> Origin {
        // SAFETY: the IRP is owned.
        unsafe { Origin::of(self.raw, self.arrived) }
    }

    /// Hands the responsibility to the caller, who has to see that the IRP is completed and its remove lock released.
    pub(crate) fn into_raw(self) -> NonNull<IRP> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the IRP is owned until this returns.
        unsafe { set_information(this.raw, this.information) };
        this.raw
    }

    /// The parameters of a device control request; `None` for another request.
    #[must_use]
    pub fn device_control(&self) -> Option<DeviceControl> {
        // SAFETY: the IRP is owned.
        unsafe { device_control(self.raw) }
    }

    /// The parameters of a read or write request; `None` for another request.
    #[must_use]
    pub fn read_write(&self) -> Option<ReadWrite> {
        // SAFETY: the IRP is owned.
        unsafe { read_write(self.raw) }
    }

    /// Whether the request is to be cancelled (`Irp->Cancel`). A driver that works on one for long looks between two pieces of its work.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: the IRP is owned.
        unsafe { is_cancelled(self.raw) }
    }

    /// The file object that the request was made through.
    #[must_use]
    pub fn file_object(&self) -> FileObject {
        // SAFETY: as in `device_control`.
        let stack = unsafe { current_stack_location(self.raw) };
        FileObject::new(stack.FileObject)
    }

    /// Leaves a note with the IRP, for as long as it is at this driver: what [`CancelSafeQueue::remove_next_if`] is to choose by.
    ///
    /// DDI: `Irp->Tail.Overlay.DriverContext`, whose last word the cancel-safe queue uses.
    ///
    /// [`CancelSafeQueue::remove_next_if`]: crate::CancelSafeQueue::remove_next_if
    pub fn set_note(&mut self, note: [u64; 2]) {
        // SAFETY: the IRP is owned.
        let slot = unsafe { note_slot(self.raw) };
        // SAFETY: the slot lies in the IRP and is this driver's.
        unsafe { slot.write(note) };
    }

    /// What [`set_note`](Self::set_note) left with it, if it has been in no other queue since than a cancel-safe one, and not at the lower driver; else 0.
    #[must_use]
    pub fn note(&self) -> [u64; 2] {
        // SAFETY: the IRP is owned.
        unsafe { note(self.raw) }
    }

    /// Completes the request, with `STATUS_SUCCESS` or with what failed. The output written so far is returned with a success or a warning, as
    /// the I/O manager copies it then.
    ///
    /// A read or write that has succeeded moves the position of a file that was opened for synchronous I/O, so that the next one goes on there.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCompleteRequest` without a priority boost, then
    /// `IoReleaseRemoveLock`.
    pub fn complete<L: NoLockHeld>(self, result: Result<()>, _irql: &mut Irql<L>) -> Disposed<'i> {
        let status = Status::from(result);
        let this = ManuallyDrop::new(self);
        // SAFETY: the IRP is owned and given up here; the token proves the IRQL and that no lock is held.
        unsafe { answer(this.raw, this.header, status, this.information) };
        Disposed::new(status)
    }
}

/// Moves the position of the request's file, and completes the request. Not inlined: a driver completes requests in many places.
///
/// # Safety
/// As [`complete`].
#[inline(never)]
pub(crate) unsafe fn answer(irp: NonNull<IRP>, header: NonNull<Header>, status: Status, information: usize) {
    // SAFETY: the IRP is owned until the next line.
    unsafe { file_position::advance(irp, status, information) };
    // SAFETY: promised by the caller.
    unsafe { complete(irp, header, status, information) };
}

impl Drop for Irp<'_> {
    /// The last resort for code that can neither return nor do anything with the IRP: it is completed with
    /// `STATUS_DRIVER_INTERNAL_ERROR`. An `Irp` is owned at `DISPATCH_LEVEL` or below only, and with no lock held, since it is not `Send`: a queue lends one
    /// under its lock, by reference.
    fn drop(&mut self) {
        // SAFETY: the IRP is owned and given up here.
        unsafe { complete(self.raw, self.header, Error::DRIVER_INTERNAL_ERROR.into(), 0) };
    }
}

impl fmt::Debug for Irp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Irp").finish_non_exhaustive()
    }
}
