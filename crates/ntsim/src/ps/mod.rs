//! Processes and threads: the System process, which system threads belong to, and one for each simulated program.

pub mod process;
pub mod thread;

pub use process::{ProcessId, current, of_thread};

use crate::ddi::Registry;

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    thread::register(ddi);
}
