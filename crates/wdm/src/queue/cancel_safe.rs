//! Cancel-safe IRP queues.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomPinned;
use core::mem::offset_of;
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    IO_CSQ, IRP, KIRQL, KSPIN_LOCK, LIST_ENTRY, PIO_CSQ,
    ntddk::{IoCsqInitialize, IoCsqInsertIrp, IoCsqRemoveNextIrp, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};

use super::{QueueCounts, QueuedIrp, closed::Closed, counts::Counters, irp_list};
use crate::{
    device::{DeviceInit, FileObject, Header, Object, ObjectNode},
    error::Error,
    irp::{Disposed, Irp, complete},
    irql::{Irql, NoLockHeld},
    status::Status,
};

/// What `peek_next_irp` asks of an IRP.
struct Filter<'a>(&'a mut dyn FnMut(&QueuedIrp<'_>) -> bool);

/// A first-in, first-out queue of pending IRPs that can be cancelled at any time.
///
/// The system's cancel-safe queue (`IO_CSQ`) decides every race between taking an IRP out and its cancellation: whoever takes it owns
/// it. An IRP that is cancelled in the queue is completed with `STATUS_CANCELLED`.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{Disposed, Irp, Irql, irql::{Dispatch, UpToDispatch}};
///
/// /// In the dispatch routine: the request waits.
/// fn submit<'i>(device: &Device, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
///     device.queue.insert(irp, irql)
/// }
///
/// /// In a DPC: the oldest one that is not cancelled meanwhile.
/// fn finish_one(device: &Device, irql: &mut Irql<Dispatch>) -> bool {
///     device.queue.remove_next(irql, |mut irp, irql| {
///         let answered = irp.write_output(&120_u32);
///         irp.complete(answered, irql)
///     })
/// }
/// # fn main() {}
/// ```
///
/// See [Cancel-Safe IRP Queues](https://learn.microsoft.com/windows-hardware/drivers/kernel/cancel-safe-irp-queues).
#[repr(C)]
pub struct CancelSafeQueue {
    csq: UnsafeCell<IO_CSQ>,
    lock: UnsafeCell<KSPIN_LOCK>,
    list: UnsafeCell<LIST_ENTRY>,
    closed: Closed,
    counters: Counters,
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
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let empty = Self {
            csq: UnsafeCell::new(IO_CSQ::default()),
            lock: UnsafeCell::new(0),
            list: UnsafeCell::new(LIST_ENTRY::default()),
            closed: Closed::open(),
            counters: Counters::new(),
            header: device.header(),
            node: ObjectNode::new(),
            _pinned: PhantomPinned,
        };
        device.place(empty, move |this| {
            // SAFETY: nobody else uses the queue yet, and it stays in place.
            unsafe { irp_list::initialize(this.list.get()) };
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
        })
    }

    /// Puts the IRP at the end. It is pending from now on, and its dispatch routine returns `STATUS_PENDING`.
    ///
    /// It may be cancelled, and even be gone, before this returns. If the queue is [closed](Self::close) the IRP is completed with the
    /// error that closed it. An IRP of another device is completed with `STATUS_INVALID_PARAMETER`: nothing would keep the queue from
    /// going away under it.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqInsertIrp`.
    pub fn insert<'i, L: NoLockHeld>(&self, irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
        if irp.header() != self.header {
            return irp.complete(Err(Error::INVALID_PARAMETER), irql);
        }
        let irp = irp.into_raw();
        // SAFETY: the IRP was owned, and has the remove lock; the queue takes it over.
        unsafe { IoCsqInsertIrp(self.csq.get(), irp.as_ptr(), core::ptr::null_mut()) };
        if let Some(error) = self.closed.error() {
            self.drain(error, irql);
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
        self.remove(&mut Filter(&mut |_| true), irql, f)
    }

    /// Takes the first IRP out that `wanted` says yes to and calls `f` with it. `false` if there is none.
    ///
    /// `wanted` is called under the queue's spin lock. It is `Send`: it holds [no IRP](crate::irp).
    ///
    /// IRQL and DDI: as [`remove_next`](Self::remove_next).
    pub fn remove_next_if<L, P, F>(&self, irql: &mut Irql<L>, mut wanted: P, f: F) -> bool
    where
        L: NoLockHeld,
        P: FnMut(&QueuedIrp<'_>) -> bool + Send,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        self.remove(&mut Filter(&mut wanted), irql, f)
    }

    fn remove<L, F>(&self, filter: &mut Filter<'_>, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        // SAFETY: the queue is initialised; `peek_next_irp` gets the filter, which outlives the call.
        let irp = unsafe { IoCsqRemoveNextIrp(self.csq.get(), core::ptr::from_mut(filter).cast()) };
        let Some(irp) = NonNull::new(irp) else {
            return false;
        };
        // SAFETY: the queue gave the IRP up, with the remove lock acquired for it; `f` takes it with a brand of its own.
        let irp = unsafe { Irp::from_queue(irp, self.header) };
        let _ = f(irp, irql);
        true
    }

    /// Completes every IRP in the queue with `error`. IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn drain<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        while self.remove_next(irql, |irp, irql| {
            self.counters.count(error);
            irp.complete(Err(error), irql)
        }) {}
    }

    /// Completes every IRP in the queue that was made through `file` with `STATUS_CANCELLED`: what `IRP_MJ_CLEANUP` is for.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        let of_file = |irp: &QueuedIrp<'_>| irp.file_object() == file;
        while self.remove_next_if(irql, of_file, |irp, irql| {
            self.counters.count(Error::CANCELLED);
            irp.complete(Err(Error::CANCELLED), irql)
        }) {}
    }

    /// Completes every IRP that is in the queue, or is put into it from now on, with `error`.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn close<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        self.closed.close(error);
        self.drain(error, irql);
    }

    /// How the IRPs ended that the queue has completed by itself. Any IRQL.
    #[must_use]
    pub fn counts(&self) -> QueueCounts {
        self.counters.read()
    }

    /// Counts from 0 again. Any IRQL.
    pub fn reset_counts(&self) {
        self.counters.reset();
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

/// `CsqInsertIrp`: appends. Called under the lock.
unsafe extern "C" fn insert_irp(csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: called by the I/O manager for a queue.
    let head = unsafe { CancelSafeQueue::of(csq) }.list.get();
    // SAFETY: the lock is held, and the IRP is the queue's.
    unsafe { irp_list::append(head, irp) };
}

/// `CsqRemoveIrp`: unlinks. Called under the lock.
unsafe extern "C" fn remove_irp(_csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: the lock is held, and the IRP is in the queue.
    unsafe { irp_list::unlink(irp) };
}

/// `CsqPeekNextIrp`: the first IRP behind `irp`, or from the start, that the filter in `context` wants; any where there is none.
/// Called under the lock.
unsafe extern "C" fn peek_next_irp(csq: PIO_CSQ, irp: *mut IRP, context: *mut c_void) -> *mut IRP {
    // SAFETY: called by the I/O manager for a queue.
    let head = unsafe { CancelSafeQueue::of(csq) }.list.get();
    let mut previous = irp;
    loop {
        // SAFETY: the lock is held, and `previous` is null or in the queue.
        let candidate = unsafe { irp_list::next(head, previous) };
        let Some(irp) = NonNull::new(candidate) else {
            return candidate;
        };
        // SAFETY: the context is a filter of `remove`, which waits; only one peek at a time gets it.
        let filter = unsafe { context.cast::<Filter<'_>>().as_mut() };
        // SAFETY: the IRP is in the queue, whose lock is held.
        let queued = unsafe { QueuedIrp::new(irp) };
        if filter.is_none_or(|filter| (filter.0)(&queued)) {
            return candidate;
        }
        previous = candidate;
    }
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
    let queue = unsafe { CancelSafeQueue::of(csq) };
    if let Some(irp) = NonNull::new(irp) {
        queue.counters.count(Error::CANCELLED);
        // SAFETY: the queue owned the IRP, and gives it up; the remove lock is acquired for it.
        unsafe { complete(irp, queue.header, Error::CANCELLED.into(), 0) };
    }
}

impl fmt::Debug for CancelSafeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelSafeQueue").finish_non_exhaustive()
    }
}
