//! The requests that the driver serves through `IRP_MJ_DEVICE_CONTROL`: control codes and buffers.
//!
//! | request | code | input | output | served |
//! |---|---|---|---|---|
//! | [`QueryInfo`] | [`IOCTL_EDU_QUERY_INFO`] | – | [`DeviceInfo`] | at once |
//! | [`Liveness`] | [`IOCTL_EDU_LIVENESS`] | [`LivenessInput`] | [`LivenessOutput`] | at once |
//! | [`Factorial`] | [`IOCTL_EDU_FACTORIAL`] | [`FactorialInput`] | [`FactorialOutput`] | queued, finished by the device's interrupt |
//!
//! # Buffers
//! Every request is `METHOD_BUFFERED`: its buffers are a few bytes long, and a copy in the kernel cannot be changed by the
//! caller while the driver looks at it. What the driver answers to wrong lengths is the same for all of them
//! ([`Request::check_lengths`]):
//!
//! | buffers | NTSTATUS | what a Win32 program sees |
//! |---|---|---|
//! | input of another length than the request's | `STATUS_INVALID_PARAMETER` | `ERROR_INVALID_PARAMETER` |
//! | output shorter than the request's | `STATUS_BUFFER_TOO_SMALL` | `ERROR_INSUFFICIENT_BUFFER` |
//! | (any other control code) | `STATUS_INVALID_DEVICE_REQUEST` | `ERROR_INVALID_FUNCTION` |
//!
//! A longer output buffer is fine: the number of bytes returned says how much of it was written.
//!
//! # Access
//! The device is open to SYSTEM and administrators only (the INF says so). Within that, a handle must have been opened for
//! reading to be told something, and for reading and writing to make the device do something.

mod buffers;
mod control_code;
mod factorial;
mod function;
mod liveness;
mod query_info;

pub use buffers::{BufferError, Request};
pub use control_code::{Access, ControlCode, FILE_DEVICE_UNKNOWN, Method};
pub use factorial::{Factorial, FactorialInput, FactorialOutput, IOCTL_EDU_FACTORIAL};
pub use function::Function;
pub use liveness::{IOCTL_EDU_LIVENESS, Liveness, LivenessInput, LivenessOutput};
pub use query_info::{DeviceInfo, IOCTL_EDU_QUERY_INFO, QueryInfo};

/// Version of this ABI, in [`DeviceInfo::abi_version`]. It grows when a request's buffers or meaning change.
pub const ABI_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::{ControlCode, IOCTL_EDU_FACTORIAL, IOCTL_EDU_LIVENESS, IOCTL_EDU_QUERY_INFO};

    /// Programs built against an older version of this crate go on sending these numbers.
    #[test]
    fn control_codes_never_change() {
        assert_eq!(IOCTL_EDU_QUERY_INFO, ControlCode::from_raw(0x0022_6000));
        assert_eq!(IOCTL_EDU_LIVENESS, ControlCode::from_raw(0x0022_E004));
        assert_eq!(IOCTL_EDU_FACTORIAL, ControlCode::from_raw(0x0022_E008));
    }
}
