//! Cancel-safe IRP queues.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use pinned_init::PinInit;
use wdk_sys::IRP;

use super::{LockedQueue, QueueCounts, QueuedIrp, csq::Queue, guarded::Guarded, peek::first_wanted};
use crate::{
    device::{DeviceInit, FileObject, Handle},
    error::Error,
    irp::{Disposed, Irp},
    irql::{Irql, NoLockHeld, SpinLockHeld},
    status::Status,
};

/// A first-in, first-out queue of pending IRPs that can be cancelled at any time.
///
/// The system's cancel-safe queue (`IO_CSQ`) decides every race between taking an IRP out and its cancellation: whoever takes it owns
/// it. An IRP that is cancelled in the queue is completed with `STATUS_CANCELLED`.
///
/// # The state, and the current IRP
///
/// A driver keeps what belongs to the queue under the queue's own lock: the state `S`. With [`with`](Self::with) it looks at the state and at the queue
/// together, makes the oldest IRP the [current](LockedQueue::begin_next) one, works on it, and [ends](LockedQueue::end_current) it. The current IRP stays in
/// the queue: it can be cancelled, or its handle closed, between any two pieces of work.
///
/// # Examples
///
/// Requests that are answered one at a time, in the order in which they came:
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{CancelSafeQueue, Disposed, Irp, Irql, LockedQueue, irql::{Dispatch, UpToDispatch}};
///
/// /// What the device does. Under the lock of the queue.
/// #[derive(Default)]
/// struct Engine {
///     is_busy: bool,
/// }
///
/// /// Has the device begin with the next request, if it is idle and there is one.
/// fn begin(device: &Device, queue: &mut LockedQueue<'_, Engine>) {
///     if !queue.state.is_busy && queue.begin_next() {
///         queue.state.is_busy = true;
///         device.registers.with(|registers| registers.write32::<0x60>(1));
///     }
/// }
///
/// /// In the dispatch routine.
/// fn submit<'i>(device: &Device, queue: &CancelSafeQueue<Engine>, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
///     queue.insert_with(irp, irql, |queue, _irql| begin(device, queue))
/// }
///
/// /// In the DPC. A request that was cancelled meanwhile is not the current one any more.
/// fn finish(device: &Device, queue: &CancelSafeQueue<Engine>, irql: &mut Irql<Dispatch>) {
///     queue.with(irql, |queue, _irql| {
///         queue.state.is_busy = false;
///         if let Some(answered) = queue.with_current(|irp, _engine| irp.write_output(&120_u32)) {
///             queue.end_current(answered);
///         }
///         begin(device, queue);
///     });
/// }
/// # fn main() {}
/// ```
///
/// A queue without a state, whose IRPs are taken out when they are to be completed:
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
pub struct CancelSafeQueue<S = ()>(Handle<Guarded<Queue, S>>);

impl CancelSafeQueue {
    /// An empty, open queue without a state. DDI: `IoCsqInitializeEx`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`; what the DDI returns.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        Self::with_state((), device)
    }
}

impl<S: Send + 'static> CancelSafeQueue<S> {
    /// An empty, open queue with a state. DDI: `IoCsqInitializeEx`.
    ///
    /// # Errors
    /// As [`new`](CancelSafeQueue::new).
    pub fn with_state<T: 'static>(state: S, device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let empty = Guarded {
            queue: Queue::new(device.header()),
            state: UnsafeCell::new(state),
        };
        device.object(empty, Self, |guarded, _irql| {
            // SAFETY: nobody else uses the queue yet, and it stays in place.
            unsafe { guarded.queue.initialize() }
        })
    }

    /// The queue, without the state.
    fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// Puts the IRP at the end. It is pending from now on, and its dispatch routine returns `STATUS_PENDING`.
    ///
    /// It may be cancelled, and even be gone, before this returns. If the queue is [closed](Self::close) the IRP is completed with the
    /// error that closed it; if its [handle is](crate::irp#the-end-of-a-handle), with `STATUS_CANCELLED`. An IRP of another device is completed with
    /// `STATUS_INVALID_PARAMETER`: nothing would keep the queue from going away under it.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqInsertIrpEx`.
    pub fn insert<'i, L: NoLockHeld>(&self, irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
        self.put(irp, &mut || {}, irql)
    }

    /// As [`insert`](Self::insert), and calls `f` under the lock, when the IRP is in the queue. `f` is not called for an IRP that is completed instead.
    ///
    /// `f` is `Send`: it holds [no IRP](crate::irp).
    pub fn insert_with<'i, L, F>(&self, irp: Irp<'i>, irql: &mut Irql<L>, f: F) -> Disposed<'i>
    where
        L: NoLockHeld,
        F: FnOnce(&mut LockedQueue<'_, S>, &mut Irql<SpinLockHeld>) + Send,
    {
        let mut f = Some(f);
        let mut has_ended = false;
        let mut then = || {
            if let Some(f) = f.take() {
                // SAFETY: called under the lock; `complete_ended` is called below.
                unsafe { self.locked(f) };
                // SAFETY: the lock is held.
                has_ended = !unsafe { self.queue().next_ended(core::ptr::null_mut()) }.is_null();
            }
        };
        let disposed = self.put(irp, &mut then, irql);
        if has_ended {
            self.queue().complete_ended(irql);
        }
        disposed
    }

    fn put<'i, L: NoLockHeld>(&self, irp: Irp<'i>, then: &mut dyn FnMut(), irql: &mut Irql<L>) -> Disposed<'i> {
        if irp.header() != self.queue().header() {
            return irp.complete(Err(Error::INVALID_PARAMETER), irql);
        }
        // SAFETY: it is one of this device.
        unsafe { self.queue().insert(irp, then, irql) };
        Disposed::new(Status::PENDING)
    }

    /// Calls `f` with the queue and its state, under the lock; then completes what `f` has [ended](LockedQueue::end_current).
    ///
    /// `f` runs at `DISPATCH_LEVEL` under a spin lock, as in [`SpinLock::with`](crate::SpinLock::with), and is `Send` for the same reason.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqRemoveNextIrp`, which takes the first of the ended IRPs out under the same lock.
    pub fn with<L, F, R>(&self, irql: &mut Irql<L>, f: F) -> R
    where
        L: NoLockHeld,
        F: FnOnce(&mut LockedQueue<'_, S>, &mut Irql<SpinLockHeld>) -> R + Send,
        R: Send,
    {
        let queue = self.queue();
        let mut f = Some(f);
        let mut result = None;
        let mut has_more = false;
        let removed = queue.remove(&mut |previous| {
            if let Some(f) = f.take() {
                // SAFETY: called under the lock; what is ended is completed below.
                result = Some(unsafe { self.locked(f) });
            }
            // SAFETY: the lock is held; `previous` is null, or what this has returned before.
            let ended = unsafe { queue.next_ended(previous) };
            // SAFETY: as above.
            has_more = !ended.is_null() && !unsafe { queue.next_ended(ended) }.is_null();
            ended
        });
        if let Some(irp) = removed {
            // SAFETY: the IRP was just taken out of the ended ones.
            unsafe { queue.complete(irp, irql) };
        }
        if has_more {
            queue.complete_ended(irql);
        }
        // SAFETY: `IoCsqRemoveNextIrp` calls `CsqPeekNextIrp`, and so the closure, once at least.
        unsafe { result.unwrap_unchecked() }
    }

    /// Calls `f` with the locked queue.
    ///
    /// # Safety
    /// The lock must be held; when it is released, what is ended must be completed.
    unsafe fn locked<R>(&self, f: impl FnOnce(&mut LockedQueue<'_, S>, &mut Irql<SpinLockHeld>) -> R) -> R {
        // SAFETY: the lock is held: nobody else uses the state.
        let state = unsafe { &mut *self.0.state.get() };
        // SAFETY: promised by the caller.
        let mut locked = unsafe { LockedQueue::new(self.queue(), state) };
        // SAFETY: the lock is held, at DISPATCH_LEVEL, until `f` has returned.
        let mut irql = unsafe { Irql::<SpinLockHeld>::assume() };
        f(&mut locked, &mut irql)
    }

    /// Takes the first IRP out and calls `f` with it. `false` if there is none.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoCsqRemoveNextIrp`.
    pub fn remove_next<L, F>(&self, irql: &mut Irql<L>, f: F) -> bool
    where
        L: NoLockHeld,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        self.remove_next_if(irql, |_| true, f)
    }

    /// Takes the first IRP out that `wanted` says yes to and calls `f` with it. `false` if there is none.
    ///
    /// `wanted` is called under the queue's spin lock. It is `Send`: it holds [no IRP](crate::irp). Each call begins at the front: more than one
    /// IRP is [ended](LockedQueue::end_if) in one walk.
    ///
    /// IRQL and DDI: as [`remove_next`](Self::remove_next).
    pub fn remove_next_if<L, P, F>(&self, irql: &mut Irql<L>, mut wanted: P, f: F) -> bool
    where
        L: NoLockHeld,
        P: FnMut(&QueuedIrp<'_>) -> bool + Send,
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<L>) -> Disposed<'i>,
    {
        let list = self.queue().list.get();
        // SAFETY: called under the lock, with null or an IRP of the list.
        let removed = self
            .queue()
            .remove(&mut |previous| unsafe { first_wanted(list, previous, &mut wanted) });
        self.give(removed, irql, f)
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
        let _ = f(unsafe { self.queue().own(irp) }, irql);
        true
    }

    /// Completes every IRP in the queue with `error`. IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn drain<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        self.queue().end_all(|_| Some(Err(error)), irql);
    }

    /// Completes every IRP in the queue that was made through `file` with `STATUS_CANCELLED`: what `IRP_MJ_CLEANUP` is for. One that is not in the
    /// queue just then [does not get there any more](crate::irp#the-end-of-a-handle).
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        let outcome = |irp| {
            // SAFETY: the IRP is in the queue, whose lock is held.
            let is_of_file = unsafe { QueuedIrp::new(irp) }.file_object() == file;
            is_of_file.then_some(Err(Error::CANCELLED))
        };
        self.queue().end_all(outcome, irql);
    }

    /// Completes every IRP that is in the queue, or is put into it from now on, with `error`.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn close<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        self.queue().close(error, irql);
    }

    /// How the IRPs ended that the queue has completed by itself. Any IRQL.
    #[must_use]
    pub fn counts(&self) -> QueueCounts {
        self.queue().counters.read()
    }

    /// Counts from 0 again. Any IRQL.
    pub fn reset_counts(&self) {
        self.queue().counters.reset();
    }
}

impl<S> fmt::Debug for CancelSafeQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelSafeQueue").finish_non_exhaustive()
    }
}
