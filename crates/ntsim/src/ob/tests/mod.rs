//! The object manager as drivers use it, through its exports.

mod handles;
mod namespace;
