//! The raise queue: requests to raise interrupt causes, one at a time, through StartIo and the DpcForIsr.

mod dpc_for_isr;
mod queue;
mod start_io;
mod watchdog;

pub use queue::RaiseQueue;
