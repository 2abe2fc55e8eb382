//! Queues of pending IRPs.

mod cancel_safe;
mod closed;
mod counts;
pub(crate) mod irp_list;
mod list;
mod peek;
mod queued_irp;
mod start_io;
mod taken_irp;

pub use cancel_safe::CancelSafeQueue;
pub(crate) use cancel_safe::Queue;
pub use counts::QueueCounts;
pub use queued_irp::QueuedIrp;
pub use start_io::{Serial, StartIo, StartIoQueue};
pub(crate) use start_io::{StartIoCore, start_io};
pub use taken_irp::TakenIrp;
