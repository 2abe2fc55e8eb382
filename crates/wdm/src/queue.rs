//! Cancel-safe IRP queues.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomPinned;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, Ordering};

use pinned_init::{PinInit, pin_init_from_closure};
use wdk_sys::{
    IO_CSQ, IRP, KIRQL, KSPIN_LOCK, LIST_ENTRY, PIO_CSQ,
    ntddk::{IoCsqInitialize, IoCsqInsertIrp, IoCsqRemoveNextIrp, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};

use crate::{
    device::{DeviceInit, FileObject, Header, Object, ObjectNode},
    irp::{Disposed, Irp, complete, current_stack_location},
    irql::{Irql, NoLockHeld},
    status::Status,
};

/// [`CancelSafeQueue`] is open.
const OPEN: i32 = 0;

/// A first-in, first-out queue of pending IRPs that can be cancelled at any time.
///
/// The system's cancel-safe queue (`IO_CSQ`) decides every race between taking an IRP out and its cancellation: whoever takes it owns
/// it. An IRP that is cancelled in the queue is completed with `STATUS_CANCELLED`.
///
/// See [Cancel-Safe IRP Queues](https://learn.microsoft.com/windows-hardware/drivers/kernel/cancel-safe-irp-queues).
#[repr(C)]
pub struct CancelSafeQueue {
    csq: UnsafeCell<IO_CSQ>,
    lock: UnsafeCell<KSPIN_LOCK>,
    list: UnsafeCell<LIST_ENTRY>,
    /// `OPEN`, or the status that the queue was closed with.
    closed: AtomicI32,
    header: NonNull<Header>,
    node: ObjectNode,
    _pinned: PhantomPinned,
}

// SAFETY: the list is touched under the spin lock only; the IRPs in it belong to no thread.
unsafe impl Sync for CancelSafeQueue {}
// SAFETY: it belongs to no thread, and neither do the IRPs in it.
unsafe impl Send for CancelSafeQueue {}

impl CancelSafeQueue {
    /// An empty, open queue. DDI: `IoCsqInitialize`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; what the DDI returns.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Status> {
        let init = move |slot: *mut Self| {
            device.check_inside(slot)?;
            let empty = Self {
                csq: UnsafeCell::new(IO_CSQ::default()),
                lock: UnsafeCell::new(0),
                list: UnsafeCell::new(LIST_ENTRY::default()),
                closed: AtomicI32::new(OPEN),
                header: device.header(),
                node: ObjectNode::new(),
                _pinned: PhantomPinned,
            };
            // SAFETY: the slot is valid for writes.
            unsafe { slot.write(empty) };
            // SAFETY: just written; only shared from here on.
            let this = unsafe { &*slot };
            let head = this.list.get();
            let empty = LIST_ENTRY {
                Flink: head,
                Blink: head,
            };
            // SAFETY: nobody else uses the queue yet.
            unsafe { head.write(empty) };
            // SAFETY: the callbacks find the queue by the address of its first field, which stays where it is.
            let status = unsafe {
                IoCsqInitialize(
                    this.csq.get(),
                    Some(insert_irp),
                    Some(remove_irp),
                    Some(peek_next_irp),
                    Some(acquire_lock),
                    Some(release_lock),
                    Some(complete_canceled_irp),
                )
            };
            Status::from_raw(status).into_result()?;
            // SAFETY: the node lies in the object, and the object in the extension.
            unsafe { device.register(&this.node, Object::Queue(NonNull::from(this))) };
            Ok(())
        };
        // SAFETY: on success every field is initialised; the failing paths come before the object is registered. It stays in place.
        unsafe { pin_init_from_closure(init) }
    }

    /// Puts the IRP at the end. It is pending from now on, and its dispatch routine returns `STATUS_PENDING`.
    ///
    /// It may be cancelled, and even be gone, before this returns. If the queue is [closed](Self::close) the IRP is completed with the
    /// status that closed it. An IRP of another device is completed with `STATUS_INVALID_PARAMETER`: nothing would keep the queue from
    /// going away under it.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqInsertIrp`.
    pub fn insert<'i, L: NoLockHeld>(&self, irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
        if irp.header() != self.header {
            return irp.complete(Status::INVALID_PARAMETER, irql);
        }
        let irp = irp.into_raw();
        // SAFETY: the IRP was owned, and has the remove lock; the queue takes it over.
        unsafe { IoCsqInsertIrp(self.csq.get(), irp.as_ptr(), core::ptr::null_mut()) };
        // Inserted first, then looked: `close` does it the other way round, so one of the two sees the other.
        if let Some(status) = self.closed_with() {
            self.drain(status, irql);
        }
        Disposed::new(Status::PENDING)
    }

    /// Takes the first IRP out and calls `f` with it. `false` if there is none.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqRemoveNextIrp`.
    pub fn remove_next<L, F>(&self, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        self.remove(core::ptr::null_mut(), irql, f)
    }

    /// Takes the first IRP out that was made through `file` and calls `f` with it. `false` if there is none.
    ///
    /// IRQL and DDI: as [`remove_next`](Self::remove_next).
    pub fn remove_next_of<L, F>(&self, file: FileObject, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        self.remove(file.as_context(), irql, f)
    }

    fn remove<L, F>(&self, context: *mut c_void, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        // SAFETY: the queue is initialised.
        let irp = unsafe { IoCsqRemoveNextIrp(self.csq.get(), context) };
        let Some(irp) = NonNull::new(irp) else {
            return false;
        };
        // SAFETY: the queue gave the IRP up, with the remove lock acquired for it; `f` takes it with a brand of its own.
        let irp = unsafe { Irp::new(irp, self.header) };
        let _ = f(irp, irql);
        true
    }

    /// Whether no IRP waits. Another processor may change that at once.
    #[must_use]
    pub fn is_empty<L: NoLockHeld>(&self, _irql: &mut Irql<L>) -> bool {
        self.locked(|| {
            let head = self.list.get();
            // SAFETY: the lock is held.
            unsafe { (*head).Flink == head }
        })
    }

    /// Completes every IRP in the queue with `status`. IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn drain<L: NoLockHeld>(&self, status: Status, irql: &mut Irql<L>) {
        while self.remove_next(irql, |irp, irql| irp.complete(status, irql)) {}
    }

    /// Completes every IRP that is in the queue, or is put into it from now on, with `status`, which is an error.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn close<L: NoLockHeld>(&self, status: Status, irql: &mut Irql<L>) {
        let status = if status.is_success() {
            Status::DRIVER_INTERNAL_ERROR
        } else {
            status
        };
        self.closed.swap(status.as_raw(), Ordering::SeqCst);
        self.drain(status, irql);
    }

    fn closed_with(&self) -> Option<Status> {
        core::sync::atomic::fence(Ordering::SeqCst);
        let closed = self.closed.load(Ordering::SeqCst);
        (closed != OPEN).then(|| Status::from_raw(closed))
    }

    fn locked<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the lock is initialised; every caller is at DISPATCH_LEVEL or below.
        let irql = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        let result = f();
        // SAFETY: acquired above, with this IRQL before.
        unsafe { KeReleaseSpinLock(self.lock.get(), irql) };
        result
    }

    /// The queue that `csq` is the first field of.
    ///
    /// # Safety
    /// `csq` must come from a callback of a queue's `IO_CSQ`.
    unsafe fn of<'a>(csq: PIO_CSQ) -> &'a Self {
        const { assert!(offset_of!(CancelSafeQueue, csq) == 0) };
        // SAFETY: the IO_CSQ is the first field of a queue that outlives the call.
        unsafe { &*csq.cast::<Self>() }
    }
}

/// `Irp->Tail.Overlay.ListEntry`, which belongs to the driver that has the IRP.
///
/// # Safety
/// The IRP must be valid.
const unsafe fn list_entry(irp: *mut IRP) -> *mut LIST_ENTRY {
    // SAFETY: only an address is computed, within the IRP.
    unsafe { &raw mut (*irp).Tail.Overlay.__bindgen_anon_2.ListEntry }
}

/// The IRP with this list entry.
///
/// # Safety
/// The entry must be one of an IRP.
const unsafe fn irp_of(entry: *mut LIST_ENTRY) -> *mut IRP {
    // SAFETY: the entry lies at this offset in an IRP.
    unsafe { entry.byte_sub(ntlayout::irp::LIST_ENTRY).cast() }
}

/// `CsqInsertIrp`: appends. Called under the lock.
unsafe extern "C" fn insert_irp(csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: called by the I/O manager for a queue.
    let head = unsafe { CancelSafeQueue::of(csq) }.list.get();
    // SAFETY: the IRP is the queue's.
    let entry = unsafe { list_entry(irp) };
    // SAFETY: the lock is held, so the list is ours.
    let last = unsafe { (*head).Blink };
    let links = LIST_ENTRY {
        Flink: head,
        Blink: last,
    };
    // SAFETY: the entry is free to be written.
    unsafe { entry.write(links) };
    // SAFETY: as for `last`.
    unsafe { (*last).Flink = entry };
    // SAFETY: as for `last`.
    unsafe { (*head).Blink = entry };
}

/// `CsqRemoveIrp`: unlinks. Called under the lock.
unsafe extern "C" fn remove_irp(_csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: the IRP is in the queue.
    let entry = unsafe { list_entry(irp) };
    // SAFETY: the lock is held, so the list is ours, and the entry is in it.
    let LIST_ENTRY {
        Flink: next,
        Blink: previous,
    } = unsafe { entry.read() };
    // SAFETY: as above.
    unsafe { (*previous).Flink = next };
    // SAFETY: as above.
    unsafe { (*next).Blink = previous };
}

/// `CsqPeekNextIrp`: the first IRP behind `irp`, or from the start, that was made through the file object in `context`, or through
/// any if that is null. Called under the lock.
unsafe extern "C" fn peek_next_irp(csq: PIO_CSQ, irp: *mut IRP, context: *mut c_void) -> *mut IRP {
    // SAFETY: called by the I/O manager for a queue.
    let head = unsafe { CancelSafeQueue::of(csq) }.list.get();
    let before = if irp.is_null() {
        head
    } else {
        // SAFETY: the IRP is in the queue.
        unsafe { list_entry(irp) }
    };
    // SAFETY: the lock is held, so the list is ours.
    let mut entry = unsafe { (*before).Flink };
    while entry != head {
        // SAFETY: every entry of the list but its head is one of an IRP.
        let candidate = unsafe { irp_of(entry) };
        if context.is_null() || is_of_file(candidate, context) {
            return candidate;
        }
        // SAFETY: as above.
        entry = unsafe { (*entry).Flink };
    }
    core::ptr::null_mut()
}

fn is_of_file(irp: *mut IRP, context: *mut c_void) -> bool {
    NonNull::new(irp).is_some_and(|irp| {
        // SAFETY: an IRP in the queue is at this driver.
        let stack = unsafe { current_stack_location(irp) };
        stack.FileObject.cast() == context
    })
}

/// `CsqAcquireLock`.
unsafe extern "C" fn acquire_lock(csq: PIO_CSQ, irql: *mut KIRQL) {
    // SAFETY: called by the I/O manager for a queue.
    let lock = unsafe { CancelSafeQueue::of(csq) }.lock.get();
    // SAFETY: the lock is initialised; the I/O manager calls at DISPATCH_LEVEL or below.
    let previous = unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
    // SAFETY: the place is the I/O manager's, for this.
    unsafe { irql.write(previous) };
}

/// `CsqReleaseLock`.
unsafe extern "C" fn release_lock(csq: PIO_CSQ, irql: KIRQL) {
    // SAFETY: called by the I/O manager for a queue.
    let lock = unsafe { CancelSafeQueue::of(csq) }.lock.get();
    // SAFETY: the lock was acquired by `acquire_lock`, which gave this IRQL.
    unsafe { KeReleaseSpinLock(lock, irql) };
}

/// `CsqCompleteCanceledIrp`. Called without the lock, when the IRP is out of the queue.
unsafe extern "C" fn complete_canceled_irp(csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: called by the I/O manager for a queue.
    let header = unsafe { CancelSafeQueue::of(csq) }.header;
    if let Some(irp) = NonNull::new(irp) {
        // SAFETY: the queue owned the IRP, and gives it up; the remove lock is acquired for it.
        unsafe { complete(irp, header, Status::CANCELLED, 0) };
    }
}

impl fmt::Debug for CancelSafeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelSafeQueue").finish_non_exhaustive()
    }
}
