//! The compute queue: factorials, one at a time on the device.

mod custom_dpc;
mod queue;

pub use queue::ComputeQueue;
