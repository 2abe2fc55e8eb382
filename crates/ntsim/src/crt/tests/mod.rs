//! The run-time library through its exports.

mod memory;
mod numbers;
mod print;
mod secure;
mod strings;
