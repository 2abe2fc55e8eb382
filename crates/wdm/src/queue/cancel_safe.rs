//! Cancel-safe IRP queues.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::mem::offset_of;
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::{
    IO_CSQ, IRP, KIRQL, KSPIN_LOCK, LIST_ENTRY, NTSTATUS, PIO_CSQ,
    ntddk::{IoCsqInitializeEx, IoCsqInsertIrpEx, IoCsqRemoveNextIrp, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};

use super::{
    QueueCounts, QueuedIrp, TakenIrp,
    closed::Closed,
    counts::Counters,
    irp_list,
    peek::{Chosen, Peek, first_wanted},
};
use crate::{
    device::{DeviceInit, FileObject, Handle, Header, KernelObject, Moment, Object, Origin},
    error::Error,
    irp::{Disposed, Irp, arrival, complete, mark_pending, set_queued},
    irql::{Irql, NoLockHeld, SpinLockHeld},
    status::Status,
};

/// A first-in, first-out queue of pending IRPs that can be cancelled at any time.
///
/// The system's cancel-safe queue (`IO_CSQ`) decides every race between taking an IRP out and its cancellation: whoever takes it owns
/// it. An IRP that is cancelled in the queue is completed with `STATUS_CANCELLED`.
///
/// # An IRP that comes back
///
/// A request of several pieces is [taken out](Self::take_next) when one is done, looked at, and [put back](TakenIrp::put_back) while the device does the
/// next. Its handle can be closed just then: [what becomes of it](crate::irp#the-end-of-a-handle).
///
/// An IRP that was put back is *begun*, and is in front of those that are not.
///
/// # Examples
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
pub struct CancelSafeQueue(Handle<Queue>);

/// The queue.
#[repr(C)]
pub(crate) struct Queue {
    csq: UnsafeCell<IO_CSQ>,
    lock: UnsafeCell<KSPIN_LOCK>,
    /// The IRPs in the queue. Under the lock.
    list: UnsafeCell<LIST_ENTRY>,
    closed: Closed,
    counters: Counters,
    header: NonNull<Header>,
}

// SAFETY: the list is touched under the spin lock only; the IRPs in them belong to no thread. The header is `Sync`.
unsafe impl Sync for Queue {}

impl KernelObject for Queue {
    fn object(&self) -> Object {
        Object::Queue(NonNull::from(self))
    }
}

impl CancelSafeQueue {
    /// An empty, open queue. DDI: `IoCsqInitializeEx`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`; what the DDI returns.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let empty = Queue {
            csq: UnsafeCell::new(IO_CSQ::default()),
            lock: UnsafeCell::new(0),
            list: UnsafeCell::new(LIST_ENTRY::default()),
            closed: Closed::open(),
            counters: Counters::new(),
            header: device.header(),
        };
        device.object(empty, Self, |queue, _irql| {
            // SAFETY: nobody else uses the queue yet, and it stays in place.
            unsafe { irp_list::initialize(queue.list.get()) };
            // SAFETY: the callbacks find the queue by the address of its first field, which stays where it is.
            let status = unsafe {
                IoCsqInitializeEx(
                    queue.csq.get(),
                    Some(insert_irp),
                    Some(remove_irp),
                    Some(peek_next_irp),
                    Some(acquire_lock),
                    Some(release_lock),
                    Some(complete_canceled_irp),
                )
            };
            Status::from_raw(status).into_result()
        })
    }

    /// For teardown.
    ///
    /// # Safety
    /// The queue must be one of a device's kernel objects, and be there as long as what is returned is used.
    pub(crate) const unsafe fn of(queue: NonNull<Queue>) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { Handle::new(queue) })
    }

    /// Puts the IRP at the end. It is pending from now on, and its dispatch routine returns `STATUS_PENDING`.
    ///
    /// It may be cancelled, and even be gone, before this returns. If the queue is [closed](Self::close) the IRP is completed with the
    /// error that closed it; if its [handle is](crate::irp#the-end-of-a-handle), with `STATUS_CANCELLED`. An IRP of another device is completed with
    /// `STATUS_INVALID_PARAMETER`: nothing would keep the queue from going away under it.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqInsertIrpEx`.
    pub fn insert<'i, L: NoLockHeld>(&self, irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
        if irp.header() != self.0.header {
            return irp.complete(Err(Error::INVALID_PARAMETER), irql);
        }
        // SAFETY: it is one of this device.
        unsafe { self.put(irp, false, irql) }
    }

    /// Puts the IRP in: at the end, or in front, as one that is begun.
    ///
    /// # Safety
    /// The IRP must be one of this device.
    pub(super) unsafe fn put<'i, L: NoLockHeld>(
        &self,
        irp: Irp<'i>,
        is_begun: bool,
        irql: &mut Irql<L>,
    ) -> Disposed<'i> {
        let insertion = Insertion {
            arrived: irp.arrived(),
            is_begun,
        };
        let context = (&raw const insertion).cast_mut().cast();
        let irp = irp.into_raw();
        // SAFETY: the IRP was owned, and has the remove lock; the queue takes it over, unless `insert_irp` refuses it. That gets the context, which
        // outlives the call.
        let status = unsafe { IoCsqInsertIrpEx(self.0.csq.get(), irp.as_ptr(), core::ptr::null_mut(), context) };
        if let Err(error) = Status::from_raw(status).into_result() {
            self.0.counters.count(error);
            // Its page does not say whether the system marks an IRP that is refused. Marked by this driver it is pending in any case.
            // SAFETY: an IRP that `insert_irp` has refused stays the caller's.
            unsafe { mark_pending(irp) };
            // SAFETY: as above; it has the remove lock, and is given up here. The token proves the IRQL and that no lock is held.
            unsafe { complete(irp, self.0.header, error.into(), 0) };
        } else if let Some(error) = self.0.closed.error() {
            self.drain(error, irql);
        }
        Disposed::new(Status::PENDING)
    }

    /// Takes the first IRP out, for good, and calls `f` with it. `false` if there is none.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqRemoveNextIrp`.
    pub fn remove_next<L, F>(&self, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        self.remove_next_if(irql, |_| true, f)
    }

    /// Takes the first IRP out that `wanted` says yes to, for good, and calls `f` with it. `false` if there is none.
    ///
    /// `wanted` is called under the queue's spin lock. It is `Send`: it holds [no IRP](crate::irp). Each call begins at the front: for more than one
    /// IRP there is [`remove_all_if`](Self::remove_all_if).
    ///
    /// IRQL and DDI: as [`remove_next`](Self::remove_next).
    pub fn remove_next_if<L, P, F>(&self, irql: &mut Irql<L>, mut wanted: P, f: F) -> bool
    where
        L: NoLockHeld,
        P: FnMut(&QueuedIrp<'_>) -> bool + Send,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        let list = self.0.list.get();
        // SAFETY: called under the lock, with null or an IRP of the list.
        let removed = self.remove(&mut |previous| unsafe { first_wanted(list, previous, &mut wanted) });
        self.give(removed, irql, f)
    }

    /// Takes every IRP out that `wanted` says yes to, for good, and calls `f` with one after the other, in the order of the queue.
    ///
    /// `wanted` is called under the queue's spin lock, once for each IRP that is in the queue when this is called: the lock is held for as long as
    /// that takes, and released between the calls of `f`. An IRP that is wanted can be cancelled until it is its turn.
    ///
    /// IRQL and DDI: as [`remove_next`](Self::remove_next).
    pub fn remove_all_if<L, P, F>(&self, irql: &mut Irql<L>, mut wanted: P, mut f: F)
    where
        L: NoLockHeld,
        P: FnMut(&QueuedIrp<'_>) -> bool + Send,
        F: for<'i> FnMut(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        let chosen = Chosen::none();
        let list = self.0.list.get();
        // SAFETY: called under the lock, with null or an IRP that the call before has returned, or whatever was chosen. `chosen` stays in place
        // until the last call has returned null, when it is empty.
        let mut peek = |previous| unsafe { chosen.next(list, previous, &mut wanted) };
        loop {
            let removed = self.remove(&mut peek);
            if !self.give(removed, irql, &mut f) {
                break;
            }
        }
    }

    /// Takes the first IRP out, for a while, and calls `f` with it: a begun one, if there is any. `false` if there is none at all.
    ///
    /// IRQL and DDI: as [`remove_next`](Self::remove_next).
    pub fn take_next<L, F>(&self, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(TakenIrp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        self.take(irql, false, f)
    }

    /// As [`take_next`](Self::take_next), but only an IRP that is begun: one that was [put back](TakenIrp::put_back).
    pub fn take_begun<L, F>(&self, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(TakenIrp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        self.take(irql, true, f)
    }

    /// Takes the first IRP out, if it is begun or need not be.
    fn take<L, F>(&self, irql: &mut Irql<L>, only_begun: bool, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(TakenIrp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        let list = self.0.list.get();
        let removed = self.remove(&mut |previous| {
            // SAFETY: the lock is held, and `previous` is null or in the list.
            let candidate = NonNull::new(unsafe { irp_list::next(list, previous) });
            // SAFETY: the IRP is in the queue, whose lock is held.
            let candidate = candidate.filter(|irp| !only_begun || unsafe { QueuedIrp::new(*irp) }.is_begun());
            candidate.map_or(core::ptr::null_mut(), NonNull::as_ptr)
        });
        let Some(irp) = removed else {
            return false;
        };
        // SAFETY: the IRP was just taken out; `f` takes it with a brand of its own.
        let irp = unsafe { self.own(irp) };
        // SAFETY: the IRP was in this queue.
        let _ = f(unsafe { TakenIrp::new(irp, self) }, irql);
        true
    }

    /// Takes the first IRP out that `peek` returns and that is not being cancelled.
    fn remove(&self, peek: Peek<'_>) -> Option<NonNull<IRP>> {
        let mut peek = peek;
        // SAFETY: the queue is initialised; `peek_next_irp` gets the function, which outlives the call.
        NonNull::new(unsafe { IoCsqRemoveNextIrp(self.0.csq.get(), (&raw mut peek).cast()) })
    }

    /// Calls `f` with an IRP that was removed; whether there is one.
    fn give<L, F>(&self, irp: Option<NonNull<IRP>>, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        let Some(irp) = irp else {
            return false;
        };
        // SAFETY: the IRP was just taken out; `f` takes it with a brand of its own.
        let _ = f(unsafe { self.own(irp) }, irql);
        true
    }

    /// Takes responsibility for an IRP that was taken out.
    ///
    /// # Safety
    /// It must just have been taken out of this queue. The brand must be one that no other IRP has.
    unsafe fn own<'i>(&self, irp: NonNull<IRP>) -> Irp<'i> {
        // SAFETY: promised by the caller.
        let arrived = unsafe { arrival(irp) };
        // SAFETY: the queue gave the IRP up, with the remove lock acquired for it.
        unsafe { Irp::from_queue(irp, self.0.header, arrived) }
    }

    /// Completes every IRP in the queue with `error`. IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn drain<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        while self.remove_next(irql, |irp, irql| {
            self.0.counters.count(error);
            irp.complete(Err(error), irql)
        }) {}
    }

    /// Completes every IRP in the queue that was made through `file` with `STATUS_CANCELLED`: what `IRP_MJ_CLEANUP` is for. One that is not in the
    /// queue just then [does not get there any more](crate::irp#the-end-of-a-handle).
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        let of_file = |irp: &QueuedIrp<'_>| irp.file_object() == file;
        self.remove_all_if(irql, of_file, |irp, irql| {
            self.0.counters.count(Error::CANCELLED);
            irp.complete(Err(Error::CANCELLED), irql)
        });
    }

    /// Completes every IRP that is in the queue, or is put into it from now on, with `error`.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn close<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        self.0.closed.close(error);
        self.drain(error, irql);
    }

    /// How the IRPs ended that the queue has completed by itself. Any IRQL.
    #[must_use]
    pub fn counts(&self) -> QueueCounts {
        self.0.counters.read()
    }

    /// Counts from 0 again. Any IRQL.
    pub fn reset_counts(&self) {
        self.0.counters.reset();
    }
}

impl Queue {
    /// The queue that `csq` is the first field of.
    ///
    /// # Safety
    /// `csq` must come from a callback of a queue's `IO_CSQ`.
    unsafe fn of<'a>(csq: PIO_CSQ) -> &'a Self {
        const { assert!(offset_of!(Queue, csq) == 0) };
        // SAFETY: the IO_CSQ is the first field of a queue that outlives the call.
        unsafe { &*csq.cast::<Self>() }
    }
}

/// How an IRP is put in: the context of `IoCsqInsertIrpEx`.
struct Insertion {
    arrived: Moment,
    /// It comes back: it is put in front.
    is_begun: bool,
}

/// `CsqInsertIrpEx`: puts the IRP in as the [`Insertion`] in `context` says, or refuses it, if its handle was closed meanwhile. Called under the lock.
unsafe extern "C" fn insert_irp(csq: PIO_CSQ, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    // SAFETY: called by the I/O manager for a queue.
    let queue = unsafe { Queue::of(csq) };
    // SAFETY: the context is that of a call of `put`, which waits.
    let insertion = unsafe { context.cast::<Insertion>().as_ref() };
    let (Some(raw), Some(&Insertion { arrived, is_begun })) = (NonNull::new(irp), insertion) else {
        return Error::INVALID_PARAMETER.as_raw();
    };
    // SAFETY: the header is there as long as the queue.
    let cleanups = unsafe { &(*queue.header.as_ptr()).cleanups };
    // SAFETY: the IRP is the queue's, if it is not refused.
    let origin = unsafe { Origin::of(raw, arrived) };
    // SAFETY: the queue's lock is held until this returns.
    let mut irql = unsafe { Irql::<SpinLockHeld>::assume() };
    if cleanups.forbid_queueing(origin, &mut irql) {
        return Error::CANCELLED.as_raw();
    }
    let head = queue.list.get();
    if is_begun {
        // SAFETY: the lock is held, and the IRP is the queue's.
        unsafe { irp_list::prepend(head, irp) };
    } else {
        // SAFETY: as above.
        unsafe { irp_list::append(head, irp) };
    }
    // SAFETY: the IRP is the queue's.
    unsafe { set_queued(raw, arrived, is_begun) };
    Status::SUCCESS.as_raw()
}

/// `CsqRemoveIrp`: unlinks. Called under the lock.
unsafe extern "C" fn remove_irp(_csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: the lock is held, and the IRP is in the queue.
    unsafe { irp_list::unlink(irp) };
}

/// `CsqPeekNextIrp`: what the [`Peek`] in `context` returns. Called under the lock.
unsafe extern "C" fn peek_next_irp(_csq: PIO_CSQ, irp: *mut IRP, context: *mut c_void) -> *mut IRP {
    // SAFETY: the context is the function that `remove` was called with, which waits; only one peek at a time gets it.
    let peek = unsafe { context.cast::<Peek<'_>>().as_mut() };
    peek.map_or(core::ptr::null_mut(), |peek| peek(irp))
}

/// `CsqAcquireLock`.
unsafe extern "C" fn acquire_lock(csq: PIO_CSQ, irql: *mut KIRQL) {
    // SAFETY: called by the I/O manager for a queue.
    let lock = unsafe { Queue::of(csq) }.lock.get();
    // SAFETY: the lock is initialised; the I/O manager calls at DISPATCH_LEVEL or below.
    let previous = unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
    // SAFETY: the place is the I/O manager's, for this.
    unsafe { irql.write(previous) };
}

/// `CsqReleaseLock`.
unsafe extern "C" fn release_lock(csq: PIO_CSQ, irql: KIRQL) {
    // SAFETY: called by the I/O manager for a queue.
    let lock = unsafe { Queue::of(csq) }.lock.get();
    // SAFETY: the lock was acquired by `acquire_lock`, which gave this IRQL.
    unsafe { KeReleaseSpinLock(lock, irql) };
}

/// `CsqCompleteCanceledIrp`. Called without the lock, when the IRP is out of the queue.
unsafe extern "C" fn complete_canceled_irp(csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: called by the I/O manager for a queue.
    let queue = unsafe { Queue::of(csq) };
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
