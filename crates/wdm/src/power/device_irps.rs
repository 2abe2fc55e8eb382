//! Power requests on their way to a thread that may wait.

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    IRP, KSPIN_LOCK, LIST_ENTRY,
    ntddk::{KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};

use crate::{
    error::Result,
    irql::{AtMostDispatch, Irql, Passive},
    queue::irp_list,
    work_item::{IoWorkItem, WorkItemRoutine},
};

/// The device power requests that a work item has yet to handle, in the order that they came, and the work item.
///
/// A power dispatch routine may run at `DISPATCH_LEVEL`, and must not wait in any case: other devices wait for it.
///
/// A request for D0 goes to the lower drivers first, and is not in the list while it is there: one that came after it would be handled before. None
/// comes: the system has at most one request active that sets a state of the device, and one that sets or asks for a state of the system
/// ([Calling IoCallDriver versus Calling PoCallDriver](https://learn.microsoft.com/windows-hardware/drivers/kernel/calling-iocalldriver-versus-calling-pocalldriver)).
/// What can be in the list beside a request for the device is one for the system's sleep, for which no request for the device could be sent.
pub(crate) struct DeviceIrps {
    item: IoWorkItem,
    lock: UnsafeCell<KSPIN_LOCK>,
    /// Under the lock.
    list: UnsafeCell<LIST_ENTRY>,
    /// The work item is queued, or runs and has not seen the list empty. Under the lock.
    active: Cell<bool>,
}

// SAFETY: what is not the work item's is touched under the spin lock only; the requests belong to no thread.
unsafe impl Sync for DeviceIrps {}

impl DeviceIrps {
    /// Memory; [`initialize`](Self::initialize) makes it an empty list.
    pub(crate) fn new() -> Self {
        Self {
            item: IoWorkItem::none(),
            lock: UnsafeCell::new(0),
            list: UnsafeCell::new(LIST_ENTRY::default()),
            active: Cell::new(false),
        }
    }

    /// An empty list, with a work item of `device`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    ///
    /// # Safety
    /// Once, where it stays, before any other use; `device` must be the device object that it lies in the extension of.
    pub(crate) unsafe fn initialize(
        &self,
        device: NonNull<wdk_sys::DEVICE_OBJECT>,
        irql: &mut Irql<Passive>,
    ) -> Result<()> {
        // SAFETY: nobody else uses the list yet, and it stays in place.
        unsafe { irp_list::initialize(self.list.get()) };
        // SAFETY: promised by the caller.
        unsafe { self.item.allocate(device, irql) }
    }

    /// Frees the work item.
    ///
    /// # Safety
    /// No request may be in the list, and none come any more.
    pub(crate) unsafe fn free(&self, irql: &mut Irql<Passive>) {
        // SAFETY: promised by the caller; a work item that runs for the last request does not touch itself any more.
        unsafe { self.item.free(irql) };
    }

    /// Hands a request to `routine`, which is called with `context` in a system thread, unless it is at work already.
    ///
    /// # Safety
    /// The IRP must be at this driver, owned and pending; the caller gives it up. The routine must fit the context, take requests by
    /// [`next`](Self::next) until there is none, and be the same in every call.
    pub(crate) unsafe fn put<L: AtMostDispatch>(
        &self,
        irp: NonNull<IRP>,
        routine: WorkItemRoutine,
        context: *mut c_void,
        irql: &mut Irql<L>,
    ) {
        let was_active = self.locked(|list| {
            // SAFETY: the lock is held, and the IRP is this driver's and in no list.
            unsafe { irp_list::append(list, irp.as_ptr()) };
            self.active.replace(true)
        });
        if !was_active {
            // SAFETY: who makes it active queues it, so it is not queued; promised by the caller.
            unsafe { self.item.queue(routine, context, irql) };
        }
    }

    /// The next request, which is the caller's. After `None` the work item must not touch the list any more: it may be queued again.
    ///
    /// # Safety
    /// To be called by the work item only.
    pub(crate) unsafe fn next(&self) -> Option<NonNull<IRP>> {
        self.locked(|list| {
            // SAFETY: the lock is held.
            let irp = unsafe { irp_list::next(list, core::ptr::null_mut()) };
            let irp = NonNull::new(irp);
            match irp {
                // SAFETY: as above, and the IRP is in the list.
                Some(irp) => unsafe { irp_list::unlink(irp.as_ptr()) },
                None => self.active.set(false),
            }
            irp
        })
    }

    /// Calls `f` with the list, under the lock. At most `DISPATCH_LEVEL`, which all callers are at.
    fn locked<R>(&self, f: impl FnOnce(*mut LIST_ENTRY) -> R) -> R {
        // SAFETY: the lock is initialised and stays in place.
        let previous = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        let result = f(self.list.get());
        // SAFETY: acquired above, with this IRQL before.
        unsafe { KeReleaseSpinLock(self.lock.get(), previous) };
        result
    }
}
