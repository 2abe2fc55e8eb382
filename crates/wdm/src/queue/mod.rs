//! Queues of pending IRPs.

mod cancel_safe;
mod closed;
mod counts;
mod csq;
mod guarded;
pub(crate) mod irp_list;
mod list;
mod locked_queue;
mod locked_start_io;
mod peek;
mod queued_irp;
mod start_io;

pub use cancel_safe::CancelSafeQueue;
pub use counts::QueueCounts;
pub(crate) use csq::Queue;
pub use locked_queue::LockedQueue;
pub use locked_start_io::LockedStartIoQueue;
pub use queued_irp::QueuedIrp;
pub use start_io::{Serial, StartIo, StartIoQueue};
pub(crate) use start_io::{StartIoCore, start_io};
