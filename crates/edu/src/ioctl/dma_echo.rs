//! `IOCTL_EDU_DMA_ECHO`: data through the device's buffer and back.

use super::{Access, ControlCode, Function, Method};

/// Send data through the device's buffer and back by DMA.
///
/// The data is of any length from 1 to [`MAX_ECHO`] bytes, and the output is as long as the input: what went there and came
/// back, piece by piece, since the device's buffer takes [`BUFFER_USABLE`](crate::dma::BUFFER_USABLE) bytes at a time. Each piece costs the device
/// 200 ms: 100 in each direction. What lay in the buffer is overwritten.
///
/// Input is copied by the system when the request is made; output goes straight into the caller's buffer (`METHOD_OUT_DIRECT`), which
/// saves the system a second megabyte. After a failure some of the output may have been written; how much is not said.
pub const IOCTL_EDU_DMA_ECHO: ControlCode =
    Function::DmaEcho.control_code(Method::OutDirect, Access::READ.union(Access::WRITE));

/// The longest data of an echo, in bytes: 1 MiB.
pub const MAX_ECHO: usize = 1 << 20;
