//! The executive's part of the model.

pub(crate) mod callback;
mod event_object;
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
mod time;
pub(crate) mod timer_object;

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    callback::register(ddi);
    event_object::register(ddi);
    interlocked::register(ddi);
    lookaside::register(ddi);
    pool::register(ddi);
    push_lock::register(ddi);
    resource::register(ddi);
    rundown::register(ddi);
    rw_spin_lock::register(ddi);
    slist::register(ddi);
    time::register(ddi);
    timer_object::register(ddi);
}
