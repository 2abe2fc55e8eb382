//! The executive's part of the model.

pub mod executable_pool;
pub mod pool;

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    pool::register(ddi);
}
