//! The object manager: the namespace, handles and references.

pub(crate) mod attributes;
pub(crate) mod by_handle;
mod callbacks;
mod directory;
mod duplicate;
pub mod handle;
pub(crate) mod name;
pub(crate) mod namespace;
pub mod object;
mod permanence;
pub(crate) mod reference;
mod symbolic_link;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod types;

pub(crate) use duplicate::process_of as process_of_handle;

use crate::{ddi::Registry, kernel::Kernel, leftovers::Leftover, mm::Va};

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    by_handle::register(ddi);
    callbacks::register(ddi);
    directory::register(ddi);
    duplicate::register(ddi);
    handle::register(ddi);
    name::register(ddi);
    permanence::register(ddi);
    reference::register(ddi);
    symbolic_link::register(ddi);
    types::register(ddi);
}

/// The handles, references and symbolic links that drivers have left. Empty when they have given back what they took.
#[must_use]
pub fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let handles = k.state::<handle::Handles>();
    let handles = handles.borrow();
    let open = handles.of_drivers().map(|(handle, object)| {
        let (name, by) = (&object.name, object.opened_by);
        let what = format!("the handle {handle} of {name}, opened at {by}, was never closed");
        Leftover::new(Va(handle.0), what)
    });
    let references = reference::held(k);
    let held = references.iter().map(|&(object, count)| {
        Leftover::new(object, format!("the object {object} is still referenced {count} times"))
    });
    let links = symbolic_link::left(k).into_iter().map(|(link, name, by)| {
        let what = format!("the symbolic link {name}, created at {by}, was never deleted");
        Leftover::new(link, what)
    });
    open.chain(held).chain(links).chain(callbacks::left(k)).collect()
}
