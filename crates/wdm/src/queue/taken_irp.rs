//! An IRP that is out of its cancel-safe queue for a while.

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::marker::PhantomPinned;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use wdk_sys::{IRP, LIST_ENTRY};

use super::{CancelSafeQueue, list};
use crate::{
    device::FileObject,
    irp::{Disposed, Irp, current_stack_location},
    irql::{Irql, NoLockHeld},
};

/// An IRP that [`CancelSafeQueue::take_next`] has taken out, and that may come back.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{Irql, irql::Dispatch};
///
/// /// In the DPC, when the device has finished a piece: the request has another one, or is at its end.
/// fn piece_is_done(device: &Device, irql: &mut Irql<Dispatch>) {
///     device.queue.take_begun(irql, |mut irp, irql| {
///         let [left, _] = irp.note();
///         if left == 0 {
///             return irp.into_irp().complete(Ok(()), irql);
///         }
///         irp.set_note([left.saturating_sub(1), 0]);
///         // If its handle was closed meanwhile it is completed here.
///         irp.put_back(irql)
///     });
/// }
/// # fn main() {}
/// ```
pub struct TakenIrp<'i> {
    irp: Irp<'i>,
    queue: &'i CancelSafeQueue,
    taken: &'i Taken,
}

impl<'i> TakenIrp<'i> {
    /// # Safety
    /// `taken` must be that of the IRP, which is out of `queue`.
    pub(super) const unsafe fn new(irp: Irp<'i>, queue: &'i CancelSafeQueue, taken: &'i Taken) -> Self {
        Self { irp, queue, taken }
    }

    /// Puts it back, in front of the IRPs that are not begun. It is completed with `STATUS_CANCELLED` if it was cancelled while it was out, or its
    /// handle was closed ([`CancelSafeQueue::cancel_all_of`]); and, as by [`CancelSafeQueue::insert`], with the error that closed the queue.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqInsertIrpEx`.
    pub fn put_back<L: NoLockHeld>(self, irql: &mut Irql<L>) -> Disposed<'i> {
        // SAFETY: the IRP is of the queue's device, since it was in the queue; `taken` is its.
        unsafe {
            self.queue
                .insert_with(self.irp, core::ptr::from_ref(self.taken).cast_mut(), irql)
        }
    }

    /// It does not come back: it is the driver's for good.
    #[must_use]
    pub fn into_irp(self) -> Irp<'i> {
        self.irp
    }
}

impl<'i> Deref for TakenIrp<'i> {
    type Target = Irp<'i>;

    fn deref(&self) -> &Irp<'i> {
        &self.irp
    }
}

impl<'i> DerefMut for TakenIrp<'i> {
    fn deref_mut(&mut self) -> &mut Irp<'i> {
        // It cannot be exchanged for another IRP: no other has its brand.
        &mut self.irp
    }
}

impl fmt::Debug for TakenIrp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakenIrp").finish_non_exhaustive()
    }
}

/// What the queue knows of an IRP that is out: lies on the stack of the call that has taken it, and in the queue's list meanwhile.
///
/// All but the caller's own look at [`is_listed`](Self::is_listed) happens under the queue's lock.
#[repr(C)]
pub(super) struct Taken {
    links: UnsafeCell<LIST_ENTRY>,
    /// Whether it is in the list. Written by the call that has taken the IRP only.
    is_listed: Cell<bool>,
    /// What the IRP was made through.
    file: Cell<Option<FileObject>>,
    /// The IRP is not to come back.
    is_cancelled: Cell<bool>,
    _pinned: PhantomPinned,
}

impl Taken {
    pub(super) fn new() -> Self {
        Self {
            links: UnsafeCell::new(LIST_ENTRY::default()),
            is_listed: Cell::new(false),
            file: Cell::new(None),
            is_cancelled: Cell::new(false),
            _pinned: PhantomPinned,
        }
    }

    /// The queue is about to give out this IRP, or, without one, none.
    ///
    /// # Safety
    /// `list` must be that of a queue whose lock is held, and the IRP in the queue. The value must stay in place until it is
    /// [taken off the list](Self::unlist).
    pub(super) unsafe fn note(&self, list: *mut LIST_ENTRY, irp: Option<NonNull<IRP>>) {
        let Some(irp) = irp else {
            // SAFETY: promised by the caller.
            unsafe { self.unlist() };
            return;
        };
        // SAFETY: an IRP in a queue is at this driver.
        let file = unsafe { current_stack_location(irp) }.FileObject;
        self.file.set(Some(FileObject::new(file)));
        if !self.is_listed.replace(true) {
            // SAFETY: promised by the caller; it is in no list.
            unsafe { list::append(list, self.links.get()) };
        }
    }

    /// Takes it off the list, if it is there.
    ///
    /// # Safety
    /// The queue's lock must be held.
    pub(super) unsafe fn unlist(&self) {
        if self.is_listed.replace(false) {
            // SAFETY: it is in the list, and the lock is held.
            unsafe { list::unlink(self.links.get()) };
        }
    }

    pub(super) const fn is_listed(&self) -> bool {
        self.is_listed.get()
    }

    /// Whether the IRP was cancelled while it was out. Under the queue's lock.
    pub(super) const fn is_cancelled(&self) -> bool {
        self.is_cancelled.get()
    }

    /// Marks those of the list whose IRPs were made through `file`.
    ///
    /// # Safety
    /// `head` must be the list of a queue whose lock is held.
    pub(super) unsafe fn cancel_all_of(head: *mut LIST_ENTRY, file: FileObject) {
        let mut entry = head;
        // SAFETY: promised by the caller.
        while let Some(next) = unsafe { list::next(head, entry) } {
            // SAFETY: every entry of the list but its head is the first field of a `Taken`, which is there as long as it is in the list.
            let taken = unsafe { &*next.cast::<Self>() };
            if taken.file.get() == Some(file) {
                taken.is_cancelled.set(true);
            }
            entry = next;
        }
    }
}
