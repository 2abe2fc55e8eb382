//! The security reference monitor.

/// Adds this component's exports.
pub fn register(_ddi: &mut crate::ddi::Registry) {}
