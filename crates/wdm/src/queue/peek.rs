//! What a cancel-safe queue's `CsqPeekNextIrp` looks for.

use core::ptr::NonNull;

use wdk_sys::{IRP, LIST_ENTRY};

use super::{QueuedIrp, irp_list};

/// Called under the queue's lock with the IRP that it returned last, or null at first: the next IRP that is wanted, or null at the end.
///
/// `IoCsqRemoveNextIrp` asks on when an IRP that it was given is being cancelled.
pub(super) type Peek<'a> = &'a mut dyn FnMut(*mut IRP) -> *mut IRP;

/// The first IRP of the list behind `previous`, or from the start if that is null, that `wanted` says yes to; null if there is none.
///
/// # Safety
/// The list must be that of a queue whose lock is held; `previous` must be null or in it.
pub(super) unsafe fn first_wanted(
    list: *mut LIST_ENTRY,
    mut previous: *mut IRP,
    wanted: &mut dyn FnMut(&QueuedIrp<'_>) -> bool,
) -> *mut IRP {
    loop {
        // SAFETY: promised by the caller.
        let candidate = unsafe { irp_list::next(list, previous) };
        let Some(irp) = NonNull::new(candidate) else {
            return candidate;
        };
        // SAFETY: the IRP is in the queue, whose lock is held.
        if wanted(&unsafe { QueuedIrp::new(irp) }) {
            return candidate;
        }
        previous = candidate;
    }
}
