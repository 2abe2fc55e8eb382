//! What a cancel-safe queue's `CsqPeekNextIrp` looks for.

use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomPinned;
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

/// The IRPs of a queue that are wanted, in a list of their own: so each one of the queue is looked at once, however many are wanted.
///
/// They are in the queue still: whoever cancels one takes it out of whatever list it is in, under the queue's lock. So it is shared with other
/// processors, and nobody may have a unique reference to it.
pub(super) struct Chosen {
    list: UnsafeCell<LIST_ENTRY>,
    is_made: Cell<bool>,
    _pinned: PhantomPinned,
}

impl Chosen {
    pub(super) fn none() -> Self {
        Self {
            list: UnsafeCell::new(LIST_ENTRY::default()),
            is_made: Cell::new(false),
            _pinned: PhantomPinned,
        }
    }

    /// The first of the chosen IRPs behind `previous`, or from the start if that is null. The first call chooses. The call that returns null puts
    /// those back which are left, because somebody is cancelling them: nothing of the list is in use after it.
    ///
    /// # Safety
    /// `queue` must be the list of a queue whose lock is held; `previous` must be null or one of the chosen. After the first call the value must stay
    /// in place until a call has returned null.
    pub(super) unsafe fn next(
        &self,
        queue: *mut LIST_ENTRY,
        previous: *mut IRP,
        wanted: &mut dyn FnMut(&QueuedIrp<'_>) -> bool,
    ) -> *mut IRP {
        let list = self.list.get();
        if !self.is_made.replace(true) {
            // SAFETY: nobody else uses the list yet, and it stays in place.
            unsafe { irp_list::initialize(list) };
            // SAFETY: promised by the caller.
            unsafe { move_wanted(queue, list, wanted) };
        }
        // SAFETY: the lock is held, and `previous` is null or in the list.
        let chosen = unsafe { irp_list::next(list, previous) };
        if chosen.is_null() {
            // SAFETY: the lock is held.
            unsafe { move_wanted(list, queue, &mut |_| true) };
        }
        chosen
    }
}

/// Moves every IRP that is wanted from one list to the end of another.
///
/// # Safety
/// Both must be lists of a queue whose lock is held.
unsafe fn move_wanted(from: *mut LIST_ENTRY, to: *mut LIST_ENTRY, wanted: &mut dyn FnMut(&QueuedIrp<'_>) -> bool) {
    let mut before = core::ptr::null_mut();
    loop {
        // SAFETY: the lock is held; `before` is null or in the list.
        let candidate = unsafe { irp_list::next(from, before) };
        let Some(irp) = NonNull::new(candidate) else {
            return;
        };
        // SAFETY: the IRP is in the queue, whose lock is held.
        if wanted(&unsafe { QueuedIrp::new(irp) }) {
            // SAFETY: the lock is held, and the IRP is in the list.
            unsafe { irp_list::unlink(candidate) };
            // SAFETY: the lock is held, and the IRP was just taken out of its list.
            unsafe { irp_list::append(to, candidate) };
        } else {
            before = candidate;
        }
    }
}
