//! The run-time library's part of the model.

mod append;
mod bitmap;
pub(crate) mod case_mapping;
mod change_case;
pub(crate) mod code_page;
mod compare;
mod convert_bytes;
mod convert_string;
mod counted;
pub mod debug_print;
mod dos_error;
mod generic_table;
mod guid;
mod image;
mod init_string;
mod integer;
mod memory;
mod memory_blocks;
pub(crate) mod name_expression;
mod numbers;
mod query_registry;
mod resource;
mod stack_trace;
pub(crate) mod string;
mod time;
pub(crate) use counted::PASSIVE;
pub mod unicode_string;
mod utf8;
mod version;
mod write_registry;

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    append::register(ddi);
    bitmap::register(ddi);
    change_case::register(ddi);
    compare::register(ddi);
    convert_bytes::register(ddi);
    convert_string::register(ddi);
    debug_print::register(ddi);
    dos_error::register(ddi);
    generic_table::register(ddi);
    guid::register(ddi);
    image::register(ddi);
    init_string::register(ddi);
    integer::register(ddi);
    memory::register(ddi);
    memory_blocks::register(ddi);
    name_expression::register(ddi);
    numbers::register(ddi);
    query_registry::register(ddi);
    resource::register(ddi);
    stack_trace::register(ddi);
    time::register(ddi);
    unicode_string::register(ddi);
    version::register(ddi);
    write_registry::register(ddi);
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
