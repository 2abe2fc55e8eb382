//! Processes and threads: the System process, which system threads belong to, and one for each simulated program.

mod attach;
mod information;
pub(crate) mod notify;
mod open;
pub mod process;
mod query;
mod system_information;
#[cfg(test)]
mod tests;
pub mod thread;

pub use process::{ProcessId, current, number, object, of_thread};
pub(crate) use process::{by_object, current_thread_object};
pub(crate) use query::expect;

use crate::ddi::Registry;

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    attach::register(ddi);
    information::register(ddi);
    notify::register(ddi);
    open::register(ddi);
    query::register(ddi);
    system_information::register(ddi);
    thread::register(ddi);
}
