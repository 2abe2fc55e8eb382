//! The executive's part of the model.

pub mod executable_pool;
pub mod pool;
pub(crate) mod raise;

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    pool::register(ddi);
}
