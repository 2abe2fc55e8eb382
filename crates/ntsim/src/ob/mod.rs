//! The object manager: handles and references.

pub mod handle;
pub(crate) mod reference;

use crate::{ddi::Registry, kernel::Kernel, leftovers::Leftover, mm::Va};

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    handle::register(ddi);
    reference::register(ddi);
}

/// The handles and references that drivers have left. Empty when they have given back what they took.
#[must_use]
pub fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let handles = k.state::<handle::Handles>();
    let handles = handles.borrow();
    let open = handles.open().map(|(handle, object)| {
        let (name, by) = (&object.name, object.opened_by);
        let what = format!("the handle {handle} of {name}, opened at {by}, was never closed");
        Leftover::new(Va(handle.0), what)
    });
    let references = reference::held(k);
    let held = references.iter().map(|&(object, count)| {
        Leftover::new(object, format!("the object {object} is still referenced {count} times"))
    });
    open.chain(held).collect()
}
