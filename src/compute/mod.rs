//! The compute queue: factorials, one at a time on the device.

mod custom_dpc;
mod engine;
mod watchdog;

use engine::FactorialEngine;

use crate::serial_queue::SerialQueue;

/// Pending factorials.
pub type ComputeQueue = SerialQueue<FactorialEngine>;
