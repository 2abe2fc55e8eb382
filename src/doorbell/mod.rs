//! The doorbell queue: requests that wait for an interrupt.

mod custom_dpc;
mod queue;

pub use queue::DoorbellQueue;
