//! The kernel objects of a device: memory of the safe layer's, and handles on it.
//!
//! The system keeps the address of such an object, and uses it whenever it likes. What lies in the driver's own value can be dropped, overwritten or
//! forgotten there by safe code, at any time. So the objects do not lie there: each is in memory of its own, on a list of the safe layer's, from the
//! time that the driver's initialiser makes it until [teardown](super::teardown) has made the system let go of it. What the driver has, whatever it
//! does with it, is where to find it.

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::ops::Deref;
use core::ptr::NonNull;

use crate::{
    device_memory::Mapping,
    dma::Buffer,
    dpc::Kdpc,
    error::Result,
    interrupt::Connection,
    irql::{Irql, Passive},
    pool::PoolBox,
    queue::{Queue, StartIoCore},
    timer::TimerCore,
    work_item::IoWorkItem,
};

/// How teardown finds an object that has something to be closed.
#[derive(Clone, Copy)]
pub(crate) enum Object {
    Interrupt(NonNull<Connection>),
    Queue(NonNull<Queue>),
    StartIo(NonNull<StartIoCore>),
    CommonBuffer(NonNull<Buffer>),
    Timer(NonNull<TimerCore>),
    WorkItem(NonNull<IoWorkItem>),
    Memory(NonNull<Mapping>),
    ThreadedDpc(NonNull<Kdpc>),
    /// An ordinary DPC, which is flushed with all others; or an event, which has nothing to be closed.
    NothingToClose,
}

/// What a [`Handle`] can be for.
pub(crate) trait KernelObject {
    /// The object, for teardown.
    fn object(&self) -> Object;
}

/// A driver's access to a kernel object.
///
/// It is pinned in the device extension, where [`DeviceInit`](super::DeviceInit) has checked it to lie: so it is gone before the object is.
///
/// It has no `Drop`, and nothing about the object depends on it.
pub(crate) struct Handle<C> {
    object: NonNull<C>,
    _pinned: PhantomPinned,
}

// SAFETY: it gives access to the object, and nothing else.
unsafe impl<C: Sync> Sync for Handle<C> {}
// SAFETY: as above.
unsafe impl<C: Sync> Send for Handle<C> {}

impl<C> Handle<C> {
    /// # Safety
    /// The object must be one of a device's [`Objects`], and be there as long as the handle is used, because that is pinned in the extension of the
    /// device.
    pub(crate) const unsafe fn new(object: NonNull<C>) -> Self {
        Self {
            object,
            _pinned: PhantomPinned,
        }
    }
}

impl<C> Deref for Handle<C> {
    type Target = C;

    fn deref(&self) -> &C {
        // SAFETY: promised to `new`: the object is there while the handle is used. Objects are only shared until they are freed.
        unsafe { self.object.as_ref() }
    }
}

/// The kernel objects of one device, most recently made first.
pub(crate) struct Objects(Cell<Option<NonNull<Node>>>);

/// What the memory of each object begins with.
struct Node {
    next: Option<NonNull<Node>>,
    object: Object,
    /// Frees the memory.
    free: unsafe fn(NonNull<Node>, &mut Irql<Passive>),
}

#[repr(C)]
struct Allocation<C> {
    node: Node,
    value: C,
}

impl Objects {
    pub(super) const fn none() -> Self {
        Self(Cell::new(None))
    }

    /// Moves `value` to memory of its own and has `finish` make a kernel object of it there, where it stays.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`; what `finish` returns.
    ///
    /// # Safety
    /// By the initialiser of the device's extension only.
    pub(super) unsafe fn add<C: KernelObject>(
        &self,
        value: C,
        finish: impl FnOnce(&C, &mut Irql<Passive>) -> Result<()>,
        irql: &mut Irql<Passive>,
    ) -> Result<NonNull<C>> {
        let node = Node {
            next: self.0.get(),
            object: Object::NothingToClose,
            free: free::<C>,
        };
        // No reference to the allocation as a whole is made any more: the system is given addresses within the value.
        let allocation = PoolBox::new(Allocation { node, value }, irql)?.into_raw();
        // SAFETY: only an address is computed, within the allocation.
        let value = unsafe { &raw mut (*allocation.as_ptr()).value };
        // SAFETY: a field of a valid object is not null.
        let object = unsafe { NonNull::new_unchecked(value) };
        // SAFETY: the value is there until it is freed, and is only shared.
        let value = unsafe { object.as_ref() };
        if let Err(error) = finish(value, irql) {
            // SAFETY: it came from `into_raw`; what `finish` has refused nobody uses.
            drop(unsafe { PoolBox::from_raw(allocation) }.free(irql));
            return Err(error);
        }
        // SAFETY: the node lies in the allocation, and nobody else knows of it yet.
        unsafe { (*allocation.as_ptr()).node.object = value.object() };
        self.0.set(Some(allocation.cast()));
        Ok(object)
    }

    /// The objects that are there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Object> + '_ {
        // SAFETY: the nodes stay until the list is freed, and are written only before they are on it.
        let node = |node: NonNull<Node>| unsafe { node.as_ref() };
        core::iter::successors(self.0.get().map(node), move |current| current.next.map(node)).map(|node| node.object)
    }

    /// Frees the objects' memory.
    ///
    /// # Safety
    /// The system must have let go of them, and nobody have a handle any more.
    pub(super) unsafe fn free(&self, irql: &mut Irql<Passive>) {
        let mut first = self.0.take();
        while let Some(node) = first {
            // SAFETY: the node is there until it is freed.
            let Node { next, free, .. } = unsafe { node.as_ref() };
            let (next, free) = (*next, *free);
            // SAFETY: this is its own function; promised by the caller.
            unsafe { free(node, irql) };
            first = next;
        }
    }
}

/// # Safety
/// The node must be that of an `Allocation<C>` that nobody uses any more.
unsafe fn free<C>(node: NonNull<Node>, irql: &mut Irql<Passive>) {
    // SAFETY: promised by the caller; the node lies at the start.
    let allocation = unsafe { PoolBox::<Allocation<C>>::from_raw(node.cast()) };
    drop(allocation.free(irql));
}
