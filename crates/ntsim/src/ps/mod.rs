//! Processes and threads: the System process, which system threads belong to, and one for each simulated program.

pub mod process;
pub mod thread;

pub use process::{ProcessId, current, number, object, of_thread};
pub(crate) use process::{by_object, current_thread_object};

use crate::ddi::Registry;

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    thread::register(ddi);
}
