//! `IOCTL_EDU_RESET_STATISTICS`: count from 0 again.

use super::{Access, ControlCode, Function, Method, Request};

/// Method: buffered, which for no buffers at all is as good as any other.
///
/// Access: write. It tells nothing, but takes what was counted from everyone who looks.
pub const IOCTL_EDU_RESET_STATISTICS: ControlCode =
    Function::ResetStatistics.control_code(Method::Buffered, Access::WRITE);

/// The request of [`IOCTL_EDU_RESET_STATISTICS`]: sets every counter of [`Statistics`](super::Statistics) to 0.
///
/// It does so one by one. What happens meanwhile is counted from 0 on, or not at all.
#[derive(Clone, Copy, Debug)]
pub struct ResetStatistics;

impl Request for ResetStatistics {
    const CODE: ControlCode = IOCTL_EDU_RESET_STATISTICS;
    type Input = ();
    type Output = ();
}
