//! The import table's other side: what each kernel routine does, under which contract.

mod args;
mod contract;
pub mod documentation;
pub(crate) mod failure;
mod registry;
#[cfg(test)]
pub(crate) mod testing;

pub use args::{Args, ReturnValue};
pub use contract::Contract;
pub use failure::Failure;
pub use registry::{Ddi, Flow, Handler, Registry};

#[cfg(test)]
mod fuzz;
