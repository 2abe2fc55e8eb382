//! The kernel objects inside an extension, as the safe layer finds them.

use core::cell::Cell;
use core::ptr::NonNull;

use crate::{
    device_memory::Mapping,
    dma::CommonBuffer,
    interrupt::Connection,
    queue::{CancelSafeQueue, StartIoCore},
    timer::TimerCore,
    work_item::IoWorkItem,
};

/// A kernel object that has to be closed before its device goes. DPCs are not among them: they are flushed all together.
#[derive(Clone, Copy)]
pub(crate) enum Object {
    Interrupt(NonNull<Connection>),
    Queue(NonNull<CancelSafeQueue>),
    StartIo(NonNull<StartIoCore>),
    CommonBuffer(NonNull<CommonBuffer>),
    Timer(NonNull<TimerCore>),
    WorkItem(NonNull<IoWorkItem>),
    Memory(NonNull<Mapping>),
}

/// A link of the list of an extension's kernel objects. Lies inside the object that it names.
pub(crate) struct ObjectNode {
    /// [`seal_of`] the node, once it is in the list.
    seal: Cell<usize>,
    next: Cell<*const ObjectNode>,
    object: Cell<Option<Object>>,
}

impl ObjectNode {
    /// A link that is in no list yet.
    pub(crate) const fn new() -> Self {
        Self {
            seal: Cell::new(0),
            next: Cell::new(core::ptr::null()),
            object: Cell::new(None),
        }
    }

    pub(super) fn link(&self, object: Object, next: *const Self) {
        self.seal.set(seal_of(self));
        self.object.set(Some(object));
        self.next.set(next);
    }

    /// The objects of the list that begins with `first`.
    ///
    /// # Safety
    /// Every node of the list must live as long as the iterator, and none may be added meanwhile.
    pub(super) unsafe fn list(first: *const Self) -> impl Iterator<Item = Object> {
        // SAFETY: promised by the caller.
        let node = move |node: *const Self| unsafe { node.as_ref() };
        core::iter::successors(node(first), move |current| node(current.next.get()))
            .filter_map(|current| current.object.get())
    }

    /// Whether the list that begins with `first` has all its `count` nodes still.
    ///
    /// An initialiser of the driver's could have overwritten an object behind pinned-init's back: its `Wrapper` gives out a `Pin` of a
    /// `MaybeUninit`, which can be set to anything. Nobody can once the initialiser is over, so this is looked at then.
    ///
    /// # Safety
    /// The nodes must have been in memory that is still readable, whatever it holds now.
    pub(super) unsafe fn is_intact(first: *const Self, count: usize) -> bool {
        let mut node = first;
        for _ in 0..count {
            // SAFETY: promised by the caller; only an address is computed.
            let seal = unsafe { &raw const (*node).seal };
            // SAFETY: any bytes make a number; volatile, so that nothing is concluded from what they may be.
            if unsafe { seal.cast::<usize>().read_volatile() } != seal_of(node) {
                return false;
            }
            // SAFETY: the seal stands, so the node is as it was linked.
            node = unsafe { (*node).next.get() };
        }
        node.is_null()
    }
}

/// What a linked node carries: bytes that are there by no other way.
fn seal_of(node: *const ObjectNode) -> usize {
    /// Has no meaning.
    const MARK: usize = 0x6F62_6A65_6374_7321;
    node.addr() ^ MARK
}
