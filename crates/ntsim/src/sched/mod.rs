//! Processors, threads and the seeded scheduler that decides every interleaving.

pub mod activity;
mod calls;
mod deadlock;
mod dispatch;
mod execute;
pub mod flow;
mod instructions;
pub mod processor;
pub mod random;
mod run;
pub mod thread;
mod wait_queue;
pub mod watchdog;

pub use activity::{Activity, ActivityKind, Frame, GuestFrame, HostFrame, Stack};
pub use flow::{GuestCall, Woken};
pub use processor::Processor;
pub use random::Random;
pub use run::RunEnd;
pub use thread::{Mode, ThreadId, ThreadSpec};
pub use wait_queue::WaitQueue;

use crate::mm::Va;

/// Virtual time, in nanoseconds since the machine was switched on. An instruction takes one.
pub type VirtualTime = u64;

/// Everything the scheduler decides over.
#[derive(Debug, Default)]
pub struct Scheduler {
    pub(crate) processors: Vec<Processor>,
    pub(crate) threads: Vec<thread::Thread>,
    /// Threads that could run, in the order they became ready.
    pub(crate) ready: Vec<ThreadId>,
    /// The processor that took the last step.
    pub(crate) last: usize,
    /// Where the next kernel stack goes.
    pub(crate) next_stack: Option<Va>,
}
