//! Event Tracing for Windows: providers, and the macros of software tracing (WPP). No session ever enables a provider here, so that events
//! are written and go nowhere, as on a system that nobody traces.

mod provider;
mod software_tracing;
#[cfg(test)]
mod tests;

use crate::ddi::Registry;

pub(crate) use provider::leftovers;

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    provider::register(ddi);
    software_tracing::register(ddi);
}
