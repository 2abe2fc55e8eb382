//! The executive's part of the model.

pub mod executable_pool;
mod interlocked;
mod lookaside;
pub mod pool;
pub(crate) mod push_lock;
pub(crate) mod raise;
pub(crate) mod resource;
mod rundown;
mod rw_spin_lock;
mod slist;

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    interlocked::register(ddi);
    lookaside::register(ddi);
    pool::register(ddi);
    push_lock::register(ddi);
    resource::register(ddi);
    rundown::register(ddi);
    rw_spin_lock::register(ddi);
    slist::register(ddi);
}
