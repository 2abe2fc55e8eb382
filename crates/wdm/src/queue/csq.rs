//! A cancel-safe queue (`IO_CSQ`) without the driver's state: its lists, and the callbacks that the I/O manager calls.

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::mem::{ManuallyDrop, offset_of};
use core::ptr::NonNull;

use wdk_sys::{
    IO_CSQ, IRP, KIRQL, KSPIN_LOCK, LIST_ENTRY, NTSTATUS, PIO_CSQ,
    ntddk::{IoCsqInitializeEx, IoCsqInsertIrpEx, IoCsqRemoveNextIrp, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};

use super::{counts::Counters, irp_list, peek::Peek};
use crate::{
    device::{Header, KernelObject, Moment, Object, Origin},
    error::{Error, Result},
    irp::{Irp, arrival, complete, is_cancelled, mark_pending, set_arrival, set_outcome, status},
    irql::{Irql, NoLockHeld, SpinLockHeld},
    status::Status,
};

/// The queue.
///
/// # Invariants
/// - The `IO_CSQ` lies at the start.
/// - Every IRP of the queue is in `list` or in `ended`. It has the remove lock of the device, and its [arrival](set_arrival) is written.
/// - `current` is null or an IRP of the queue that is not in `ended`.
#[repr(C)]
pub(crate) struct Queue {
    csq: UnsafeCell<IO_CSQ>,
    lock: UnsafeCell<KSPIN_LOCK>,
    /// The IRPs that wait, and the current one, in the order of arrival. Under the lock.
    pub(super) list: UnsafeCell<LIST_ENTRY>,
    /// The IRPs whose outcome is written: they are completed when the lock is released. Under the lock.
    ended: UnsafeCell<LIST_ENTRY>,
    /// The IRP that the driver works on. Under the lock.
    current: Cell<*mut IRP>,
    /// The error that every IRP in the queue ends with. Under the lock.
    closed: Cell<Option<Error>>,
    pub(super) counters: Counters,
    header: NonNull<Header>,
}

// SAFETY: the lists and the cells are touched under the spin lock only; the IRPs in the lists belong to no thread. The header is `Sync`.
unsafe impl Sync for Queue {}

impl KernelObject for Queue {
    fn object(&self) -> Object {
        Object::Queue(NonNull::from(self))
    }
}

/// What runs under the lock when an IRP has been put in.
type Then<'a> = &'a mut dyn FnMut();

/// The context of `IoCsqInsertIrpEx`.
struct Insertion<'a> {
    arrived: Moment,
    then: Then<'a>,
}

impl Queue {
    /// The memory of a queue, for [`initialize`](Self::initialize).
    pub(super) fn new(header: NonNull<Header>) -> Self {
        Self {
            csq: UnsafeCell::new(IO_CSQ::default()),
            lock: UnsafeCell::new(0),
            list: UnsafeCell::new(LIST_ENTRY::default()),
            ended: UnsafeCell::new(LIST_ENTRY::default()),
            current: Cell::new(core::ptr::null_mut()),
            closed: Cell::new(None),
            counters: Counters::new(),
            header,
        }
    }

    /// `IoCsqInitializeEx`. The queue is empty and open.
    ///
    /// # Errors
    /// What the DDI returns.
    ///
    /// # Safety
    /// Once, before any other use, where the queue stays.
    pub(super) unsafe fn initialize(&self) -> Result<()> {
        // SAFETY: nobody else uses the queue yet, and it stays in place.
        unsafe { irp_list::initialize(self.list.get()) };
        // SAFETY: as above.
        unsafe { irp_list::initialize(self.ended.get()) };
        // SAFETY: the callbacks find the queue by the address of its first field, which stays where it is.
        let status = unsafe {
            IoCsqInitializeEx(
                self.csq(),
                Some(insert_irp),
                Some(remove_irp),
                Some(peek_next_irp),
                Some(acquire_lock),
                Some(release_lock),
                Some(complete_canceled_irp),
            )
        };
        Status::from_raw(status).into_result()
    }

    /// The `IO_CSQ`, by a pointer to the whole queue, which the callbacks make of it again.
    const fn csq(&self) -> PIO_CSQ {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// The header of the device that the queue belongs to.
    pub(super) const fn header(&self) -> NonNull<Header> {
        self.header
    }

    /// Puts the IRP at the end, and calls `then` under the lock. A queue that is closed, or an IRP whose handle is, completes it instead.
    ///
    /// # Safety
    /// The IRP must be one of the queue's device.
    pub(super) unsafe fn insert<L: NoLockHeld>(&self, irp: Irp<'_>, then: Then<'_>, _irql: &mut Irql<L>) {
        let mut insertion = Insertion {
            arrived: irp.arrived(),
            then,
        };
        let context = (&raw mut insertion).cast();
        let irp = irp.into_raw();
        // SAFETY: the IRP was owned, and has the remove lock; the queue takes it over, unless `insert_irp` refuses it. That gets the context, which
        // outlives the call.
        let status = unsafe { IoCsqInsertIrpEx(self.csq(), irp.as_ptr(), core::ptr::null_mut(), context) };
        let Err(error) = Status::from_raw(status).into_result() else {
            return;
        };
        self.counters.count(Err(error));
        // The page of `IoCsqInsertIrpEx` does not say whether the system marks an IRP that is refused. Marked by this driver it is pending in any case.
        // SAFETY: an IRP that `insert_irp` has refused stays the caller's.
        unsafe { mark_pending(irp) };
        // SAFETY: as above; it has the remove lock, and is given up here. The token proves the IRQL and that no lock is held.
        unsafe { complete(irp, self.header, error.into(), 0) };
    }

    /// Takes the first IRP out that `peek` returns and that is not being cancelled.
    pub(super) fn remove(&self, peek: Peek<'_>) -> Option<NonNull<IRP>> {
        let mut peek = peek;
        // SAFETY: the queue is initialised; `peek_next_irp` gets the function, which outlives the call.
        NonNull::new(unsafe { IoCsqRemoveNextIrp(self.csq(), (&raw mut peek).cast()) })
    }

    /// Takes responsibility for an IRP.
    ///
    /// # Safety
    /// It must just have been taken out of this queue; or be in it, with the lock held as long as the value is used, and not be disposed of. The brand must be one that no other IRP has.
    pub(super) unsafe fn own<'i>(&self, irp: NonNull<IRP>) -> Irp<'i> {
        // SAFETY: promised by the caller.
        let arrived = unsafe { arrival(irp) };
        // SAFETY: the queue gave the IRP up, with the remove lock acquired for it.
        unsafe { Irp::from_queue(irp, self.header, arrived) }
    }

    /// Completes every IRP that is in the queue, or is put into it from now on, with `error`.
    pub(crate) fn close<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        self.remove(&mut |_| {
            self.closed.set(Some(error));
            core::ptr::null_mut()
        });
        self.end_all(|_| Some(Err(error)), irql);
    }

    /// Completes every IRP that `outcome` returns an outcome for. It is called under the lock, once for each IRP.
    pub(super) fn end_all<L: NoLockHeld>(
        &self,
        mut outcome: impl FnMut(NonNull<IRP>) -> Option<Result<()>>,
        irql: &mut Irql<L>,
    ) {
        self.remove(&mut |_| {
            // SAFETY: called under the lock; `complete_ended` is called below.
            unsafe { self.end_if(&mut outcome) };
            core::ptr::null_mut()
        });
        self.complete_ended(irql);
    }

    /// Calls `f` with an IRP that stays in the queue.
    ///
    /// # Safety
    /// The lock must be held, and the IRP be in the queue.
    pub(super) unsafe fn lend<R>(&self, irp: NonNull<IRP>, f: impl for<'i> FnOnce(&mut Irp<'i>) -> R) -> R {
        // SAFETY: while the lock is held nobody takes the IRP out. It is not completed or passed on: `f` gets a reference, and has no other IRP with this
        // brand to put in its place; nor is it dropped here.
        let mut irp = ManuallyDrop::new(unsafe { self.own(irp) });
        let result = f(&mut irp);
        ManuallyDrop::into_inner(irp).into_raw();
        result
    }

    /// The current IRP.
    ///
    /// # Safety
    /// The lock must be held.
    pub(super) unsafe fn current(&self) -> Option<NonNull<IRP>> {
        NonNull::new(self.current.get())
    }

    /// Makes the oldest IRP the current one, unless there is one; whether there is one now. An IRP that is being cancelled is passed over, the current one
    /// too.
    ///
    /// # Safety
    /// The lock must be held.
    pub(super) unsafe fn begin_next(&self) -> bool {
        // SAFETY: the lock is held.
        let current = unsafe { self.current() };
        // SAFETY: the IRP is in the queue, whose lock is held.
        if current.is_some_and(|irp| !unsafe { is_cancelled(irp) }) {
            return true;
        }
        let mut next = core::ptr::null_mut();
        loop {
            // SAFETY: the lock is held; `next` is null or in the list.
            next = unsafe { irp_list::next(self.list.get(), next) };
            let Some(irp) = NonNull::new(next) else {
                self.current.set(next);
                return false;
            };
            // SAFETY: the IRP is in the queue, whose lock is held.
            if !unsafe { is_cancelled(irp) } {
                self.current.set(next);
                return true;
            }
        }
    }

    /// Ends the current IRP, if there is one: see [`end`](Self::end).
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn end_current(&self, result: Result<()>) {
        if let Some(irp) = NonNull::new(self.current.get()) {
            // SAFETY: promised by the caller; the current IRP is in the queue.
            unsafe { self.end(irp, result) };
        }
    }

    /// Ends every IRP that `outcome` returns an outcome for: see [`end`](Self::end).
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn end_if(&self, mut outcome: impl FnMut(NonNull<IRP>) -> Option<Result<()>>) {
        let mut before = core::ptr::null_mut();
        loop {
            // SAFETY: the lock is held; `before` is null or in the list.
            let next = unsafe { irp_list::next(self.list.get(), before) };
            let Some(irp) = NonNull::new(next) else {
                return;
            };
            match outcome(irp) {
                // SAFETY: promised by the caller; the IRP is in the queue.
                Some(result) => unsafe { self.end(irp, result) },
                None => before = next,
            }
        }
    }

    /// Writes down how an IRP ends, and moves it to `ended`. If it was the current one there is none from now on.
    ///
    /// # Safety
    /// The lock must be held, and [`complete_ended`](Self::complete_ended) be called after it is released. The IRP must be in the queue.
    unsafe fn end(&self, irp: NonNull<IRP>, result: Result<()>) {
        // SAFETY: the IRP is in the queue, whose lock is held.
        unsafe { set_outcome(irp, Status::from(result)) };
        // SAFETY: the lock is held.
        unsafe { self.unlink(irp.as_ptr()) };
        // SAFETY: the lock is held, and the IRP in no list.
        unsafe { irp_list::append(self.ended.get(), irp.as_ptr()) };
    }

    /// Takes an IRP off its list. If it was the current one there is none from now on.
    ///
    /// # Safety
    /// The lock must be held, and the IRP be in the queue.
    unsafe fn unlink(&self, irp: *mut IRP) {
        // SAFETY: promised by the caller.
        unsafe { irp_list::unlink(irp) };
        if self.current.get() == irp {
            self.current.set(core::ptr::null_mut());
        }
    }

    /// The IRP in `ended` behind `previous`, or the first.
    ///
    /// # Safety
    /// The lock must be held; `previous` must be null or in that list.
    pub(super) unsafe fn next_ended(&self, previous: *mut IRP) -> *mut IRP {
        // SAFETY: promised by the caller.
        unsafe { irp_list::next(self.ended.get(), previous) }
    }

    /// Completes the IRPs in `ended`.
    pub(super) fn complete_ended<L: NoLockHeld>(&self, irql: &mut Irql<L>) {
        // SAFETY: called under the lock, with null or an IRP of the list.
        while let Some(irp) = self.remove(&mut |previous| unsafe { self.next_ended(previous) }) {
            // SAFETY: the IRP was just taken out of `ended`.
            unsafe { self.complete(irp, irql) };
        }
    }

    /// Completes an IRP with the outcome that is written in it.
    ///
    /// # Safety
    /// It must just have been taken out of `ended`.
    pub(super) unsafe fn complete<L: NoLockHeld>(&self, irp: NonNull<IRP>, irql: &mut Irql<L>) {
        // SAFETY: the IRP is this call's.
        let outcome = unsafe { status(irp) }.into_result();
        self.counters.count(outcome);
        // SAFETY: the IRP was just taken out. Its brand is that of this call.
        let _ = unsafe { self.own(irp) }.complete(outcome, irql);
    }

    /// The queue that `csq` is the first field of.
    ///
    /// # Safety
    /// `csq` must come from a callback of a queue's `IO_CSQ`.
    unsafe fn of<'a>(csq: PIO_CSQ) -> &'a Self {
        const { assert!(offset_of!(Queue, csq) == 0) };
        // SAFETY: the IO_CSQ is the first field of a queue that outlives the call.
        unsafe { &*csq.cast::<Self>() }
    }

    /// Why the queue does not take an IRP, if it does not: it is closed, or the IRP's handle is.
    fn refusal(&self, irp: NonNull<IRP>, arrived: Moment, irql: &mut Irql<SpinLockHeld>) -> Option<Error> {
        // SAFETY: the header is there as long as the queue.
        let cleanups = unsafe { &(*self.header.as_ptr()).cleanups };
        // SAFETY: the IRP is the queue's, if it is not refused.
        let origin = unsafe { Origin::of(irp, arrived) };
        self.closed
            .get()
            .or_else(|| cleanups.forbid_queueing(origin, irql).then_some(Error::CANCELLED))
    }
}

/// `CsqInsertIrpEx`: appends the IRP, or refuses it. Called under the lock, with an [`Insertion`] as context.
unsafe extern "C" fn insert_irp(csq: PIO_CSQ, irp: *mut IRP, context: *mut c_void) -> NTSTATUS {
    // SAFETY: called by the I/O manager for a queue.
    let queue = unsafe { Queue::of(csq) };
    // SAFETY: the context is that of a call of `insert`, which waits; only one callback gets it.
    let insertion = unsafe { context.cast::<Insertion<'_>>().as_mut() };
    let (Some(raw), Some(Insertion { arrived, then })) = (NonNull::new(irp), insertion) else {
        return Error::INVALID_PARAMETER.as_raw();
    };
    // SAFETY: the queue's lock is held until this returns.
    let mut irql = unsafe { Irql::<SpinLockHeld>::assume() };
    if let Some(error) = queue.refusal(raw, *arrived, &mut irql) {
        return error.as_raw();
    }
    // SAFETY: the lock is held, and the IRP is the queue's.
    unsafe { irp_list::append(queue.list.get(), irp) };
    // SAFETY: as above.
    unsafe { set_arrival(raw, *arrived) };
    then();
    Status::SUCCESS.as_raw()
}

/// `CsqRemoveIrp`: unlinks the IRP. If it was the current one there is none from now on. Called under the lock.
unsafe extern "C" fn remove_irp(csq: PIO_CSQ, irp: *mut IRP) {
    // SAFETY: called by the I/O manager for a queue.
    let queue = unsafe { Queue::of(csq) };
    // SAFETY: the lock is held, and the IRP is in the queue.
    unsafe { queue.unlink(irp) };
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
        queue.counters.count(Err(Error::CANCELLED));
        // SAFETY: the queue owned the IRP, and gives it up; the remove lock is acquired for it.
        unsafe { complete(irp, queue.header, Error::CANCELLED.into(), 0) };
    }
}
