//! Processes and threads, as drivers create and ask about them.

pub mod thread;

use crate::ddi::Registry;

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    thread::register(ddi);
}
