//! The requests that the driver serves through `IRP_MJ_DEVICE_CONTROL`: control codes and buffers.
//!
//! | request | code | input | output | served |
//! |---|---|---|---|---|
//! | [`QueryInfo`] | [`IOCTL_EDU_QUERY_INFO`] | – | [`DeviceInfo`] | at once |
//! | [`Liveness`] | [`IOCTL_EDU_LIVENESS`] | [`LivenessInput`] | [`LivenessOutput`] | at once |
//! | [`Factorial`] | [`IOCTL_EDU_FACTORIAL`] | [`FactorialInput`] | [`FactorialOutput`] | queued, finished by the device's interrupt |
//! | [`RaiseInterrupt`] | [`IOCTL_EDU_RAISE_INTERRUPT`] | [`RaiseInput`] | – | queued, finished by the device's interrupt |
//! | [`WaitInterrupt`] | [`IOCTL_EDU_WAIT_INTERRUPT`] | [`WaitInput`] | [`WaitOutput`] | pends until an interrupt matches |
//! | DMA echo | [`IOCTL_EDU_DMA_ECHO`] | 1 to [`MAX_ECHO`] bytes | the same bytes | queued, piece by piece by DMA |
//! | [`QueryStatistics`] | [`IOCTL_EDU_QUERY_STATISTICS`] | – | [`Statistics`] | at once |
//! | [`ResetStatistics`] | [`IOCTL_EDU_RESET_STATISTICS`] | – | – | at once |
//!
//! # Buffers
//! Every request but the echo is `METHOD_BUFFERED`: its buffers are a few bytes long, and a copy in the kernel cannot be changed by the
//! caller while the driver looks at it. What the driver answers to wrong lengths ([`Request::check_lengths`]) and values is the
//! same for all of them:
//!
//! | buffers | NTSTATUS | what a Win32 program sees |
//! |---|---|---|
//! | input of another length than the request's (an echo takes 1 to [`MAX_ECHO`] bytes) | `STATUS_INVALID_PARAMETER` | `ERROR_INVALID_PARAMETER` |
//! | output shorter than the request's (an echo's is as long as its input) | `STATUS_BUFFER_TOO_SMALL` | `ERROR_INSUFFICIENT_BUFFER` |
//! | input with a value that the request does not take ([`RaiseInput::is_valid`], [`WaitInput::is_valid`]) | `STATUS_INVALID_PARAMETER` | `ERROR_INVALID_PARAMETER` |
//! | (any other control code) | `STATUS_INVALID_DEVICE_REQUEST` | `ERROR_INVALID_FUNCTION` |
//!
//! A longer output buffer is fine: the number of bytes returned says how much of it was written.
//!
//! # Access
//! The device is open to SYSTEM and administrators only (the INF says so). Within that, a handle must have been opened for
//! reading to be told something, for writing to change what others are told, and for both to make the device do something.

mod buffers;
mod control_code;
mod dma_echo;
mod factorial;
mod function;
mod liveness;
mod query_info;
mod query_statistics;
mod raise_interrupt;
mod reset_statistics;
mod wait_interrupt;

pub use buffers::{BufferError, Request};
pub use control_code::{Access, ControlCode, FILE_DEVICE_UNKNOWN, Method};
pub use dma_echo::{IOCTL_EDU_DMA_ECHO, MAX_ECHO};
pub use factorial::{Factorial, FactorialInput, FactorialOutput, IOCTL_EDU_FACTORIAL};
pub use function::Function;
pub use liveness::{IOCTL_EDU_LIVENESS, Liveness, LivenessInput, LivenessOutput};
pub use query_info::{DeviceInfo, IOCTL_EDU_QUERY_INFO, QueryInfo};
pub use query_statistics::{
    IOCTL_EDU_QUERY_STATISTICS, LatencyStatistics, QueryStatistics, QueueStatistics, Statistics, WatchdogStatistics,
};
pub use raise_interrupt::{IOCTL_EDU_RAISE_INTERRUPT, RaiseInput, RaiseInterrupt};
pub use reset_statistics::{IOCTL_EDU_RESET_STATISTICS, ResetStatistics};
pub use wait_interrupt::{IOCTL_EDU_WAIT_INTERRUPT, WaitInput, WaitInterrupt, WaitOutput};

/// Version of this ABI, in [`DeviceInfo::abi_version`]. It grows when a request's buffers or meaning change.
pub const ABI_VERSION: u32 = 3;

#[cfg(test)]
mod tests {
    use super::{
        ControlCode, IOCTL_EDU_DMA_ECHO, IOCTL_EDU_FACTORIAL, IOCTL_EDU_LIVENESS, IOCTL_EDU_QUERY_INFO,
        IOCTL_EDU_QUERY_STATISTICS, IOCTL_EDU_RAISE_INTERRUPT, IOCTL_EDU_RESET_STATISTICS, IOCTL_EDU_WAIT_INTERRUPT,
    };

    /// Programs built against an older version of this crate go on sending these numbers.
    #[test]
    fn control_codes_never_change() {
        assert_eq!(IOCTL_EDU_QUERY_INFO, ControlCode::from_raw(0x0022_6000));
        assert_eq!(IOCTL_EDU_LIVENESS, ControlCode::from_raw(0x0022_E004));
        assert_eq!(IOCTL_EDU_FACTORIAL, ControlCode::from_raw(0x0022_E008));
        assert_eq!(IOCTL_EDU_RAISE_INTERRUPT, ControlCode::from_raw(0x0022_E00C));
        assert_eq!(IOCTL_EDU_WAIT_INTERRUPT, ControlCode::from_raw(0x0022_6010));
        assert_eq!(IOCTL_EDU_DMA_ECHO, ControlCode::from_raw(0x0022_E016));
        assert_eq!(IOCTL_EDU_QUERY_STATISTICS, ControlCode::from_raw(0x0022_6018));
        assert_eq!(IOCTL_EDU_RESET_STATISTICS, ControlCode::from_raw(0x0022_A01C));
    }
}
