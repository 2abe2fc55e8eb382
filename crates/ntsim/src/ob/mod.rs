//! The object manager: handles, and what they stand for.

pub mod handle;

use crate::{ddi::Registry, kernel::Kernel};

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    handle::register(ddi);
}

/// The handles that drivers have left open, in words. Empty when they have closed what they opened.
#[must_use]
pub fn leftovers(k: &Kernel) -> Vec<String> {
    let handles = k.state::<handle::Handles>();
    let handles = handles.borrow();
    let open = handles.open().map(|(handle, object)| {
        let (name, by) = (&object.name, object.opened_by);
        format!("the handle {handle} of {name}, opened at {by}, was never closed")
    });
    open.collect()
}
