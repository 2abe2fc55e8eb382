//! The kernel objects inside an extension, as teardown finds them.

use core::cell::Cell;
use core::ptr::NonNull;

use wdk_sys::KDPC;

use crate::{interrupt::Connection, queue::CancelSafeQueue};

/// A kernel object that the system may hold on to, and how teardown makes it let go.
#[derive(Clone, Copy)]
pub(crate) enum Object {
    Dpc(NonNull<KDPC>),
    Interrupt(NonNull<Connection>),
    Queue(NonNull<CancelSafeQueue>),
}

/// A link of the list of an extension's kernel objects. Lies inside the object that it names.
pub(crate) struct ObjectNode {
    next: Cell<*const ObjectNode>,
    object: Cell<Option<Object>>,
}

impl ObjectNode {
    /// A link that is in no list yet.
    pub(crate) const fn new() -> Self {
        Self {
            next: Cell::new(core::ptr::null()),
            object: Cell::new(None),
        }
    }

    pub(super) fn link(&self, object: Object, next: *const Self) {
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
}
