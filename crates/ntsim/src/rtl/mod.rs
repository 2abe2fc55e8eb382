//! The run-time library's part of the model.

pub mod debug_print;
mod memory;
mod query_registry;
pub mod unicode_string;

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    debug_print::register(ddi);
    memory::register(ddi);
    query_registry::register(ddi);
    unicode_string::register(ddi);
}

#[cfg(test)]
mod tests;
