//! What a request can fail with, in words.
//!
//! A Win32 program sees Win32 error codes, a simulated kernel shows the NTSTATUS itself. The names and numbers are those of
//! Microsoft's `winerror.h` and `ntstatus.h`; the advice is what the code means when *this* driver is at the other end.

use std::fmt;

/// How a request was refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// A Win32 error code, as `GetLastError` has it.
    Win32(u32),
    /// The NTSTATUS with which the request was completed.
    NtStatus(u32),
}

impl DeviceError {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Win32(code) | Self::NtStatus(code) => code,
        }
    }

    /// The name under which Microsoft's headers define it, when it is one that this driver or its stack returns.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|known| known.name)
    }

    /// What it means here, and what to do about it.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        self.known().map(|known| known.condition.advice())
    }

    /// What happened, when the code is one that this driver or its stack returns.
    pub(crate) fn condition(self) -> Option<Condition> {
        self.known().map(|known| known.condition)
    }

    fn known(self) -> Option<&'static Known> {
        let (table, code) = match self {
            Self::Win32(code) => (WIN32, code),
            Self::NtStatus(code) => (NT_STATUS, code),
        };
        table.iter().find(|known| known.code == code)
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.known()) {
            (Self::Win32(code), Some(known)) => {
                write!(f, "{} ({code}): {}", known.name, known.condition.advice())
            }
            (Self::NtStatus(code), Some(known)) => {
                write!(f, "{} ({code:#010X}): {}", known.name, known.condition.advice())
            }
            (Self::Win32(code), None) => {
                write!(f, "Win32 error {code} (`net helpmsg {code}` explains it)")
            }
            (Self::NtStatus(code), None) => write!(f, "NTSTATUS {code:#010X}"),
        }
    }
}

impl std::error::Error for DeviceError {}

struct Known {
    code: u32,
    name: &'static str,
    condition: Condition,
}

const fn known(code: u32, name: &'static str, condition: Condition) -> Known {
    Known { code, name, condition }
}

/// What happened, whichever of the two worlds the code comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    AccessDenied,
    BadRequest,
    BufferTooSmall,
    Cancelled,
    DeviceFault,
    EndOfBuffer,
    Full,
    Gone,
    NoResources,
    NotReady,
    NotServed,
    TimedOut,
}

impl Condition {
    const fn advice(self) -> &'static str {
        match self {
            Self::AccessDenied => "access was denied; run as administrator",
            Self::BadRequest => {
                "the driver found fault with the request's length or values; are eductl and driver of one version?"
            }
            Self::BufferTooSmall => "the answer does not fit the buffer; are eductl and driver of one version?",
            Self::Cancelled => "the request was cancelled",
            Self::DeviceFault => "the device reported a fault or gave an answer that makes no sense",
            Self::EndOfBuffer => "the device's buffer ends before that offset",
            Self::Full => "that does not fit into the device's buffer",
            Self::Gone => "the device was removed or is being removed; look for it in Device Manager",
            Self::NoResources => "the system ran out of memory or other resources; try again",
            Self::NotReady => "the device is not started; look for its problem code in Device Manager",
            Self::NotServed => "the driver does not know this request; are eductl and driver of one version?",
            Self::TimedOut => "the device did not answer in time",
        }
    }
}

const WIN32: &[Known] = &[
    known(1, "ERROR_INVALID_FUNCTION", Condition::NotServed),
    known(2, "ERROR_FILE_NOT_FOUND", Condition::Gone),
    known(5, "ERROR_ACCESS_DENIED", Condition::AccessDenied),
    known(21, "ERROR_NOT_READY", Condition::NotReady),
    known(22, "ERROR_BAD_COMMAND", Condition::NotReady),
    known(31, "ERROR_GEN_FAILURE", Condition::DeviceFault),
    known(38, "ERROR_HANDLE_EOF", Condition::EndOfBuffer),
    known(55, "ERROR_DEV_NOT_EXIST", Condition::Gone),
    known(87, "ERROR_INVALID_PARAMETER", Condition::BadRequest),
    known(112, "ERROR_DISK_FULL", Condition::Full),
    known(121, "ERROR_SEM_TIMEOUT", Condition::TimedOut),
    known(122, "ERROR_INSUFFICIENT_BUFFER", Condition::BufferTooSmall),
    known(433, "ERROR_NO_SUCH_DEVICE", Condition::Gone),
    known(995, "ERROR_OPERATION_ABORTED", Condition::Cancelled),
    known(1117, "ERROR_IO_DEVICE", Condition::DeviceFault),
    known(1167, "ERROR_DEVICE_NOT_CONNECTED", Condition::Gone),
    known(1450, "ERROR_NO_SYSTEM_RESOURCES", Condition::NoResources),
    known(1617, "ERROR_DEVICE_REMOVED", Condition::Gone),
];

const NT_STATUS: &[Known] = &[
    known(0xC000_000D, "STATUS_INVALID_PARAMETER", Condition::BadRequest),
    known(0xC000_000E, "STATUS_NO_SUCH_DEVICE", Condition::Gone),
    known(0xC000_0010, "STATUS_INVALID_DEVICE_REQUEST", Condition::NotServed),
    known(0xC000_0011, "STATUS_END_OF_FILE", Condition::EndOfBuffer),
    known(0xC000_0022, "STATUS_ACCESS_DENIED", Condition::AccessDenied),
    known(0xC000_0023, "STATUS_BUFFER_TOO_SMALL", Condition::BufferTooSmall),
    known(0xC000_0034, "STATUS_OBJECT_NAME_NOT_FOUND", Condition::Gone),
    known(0xC000_0056, "STATUS_DELETE_PENDING", Condition::Gone),
    known(0xC000_007F, "STATUS_DISK_FULL", Condition::Full),
    known(0xC000_009A, "STATUS_INSUFFICIENT_RESOURCES", Condition::NoResources),
    known(0xC000_009C, "STATUS_DEVICE_DATA_ERROR", Condition::DeviceFault),
    known(0xC000_009D, "STATUS_DEVICE_NOT_CONNECTED", Condition::Gone),
    known(0xC000_00A3, "STATUS_DEVICE_NOT_READY", Condition::NotReady),
    known(0xC000_00B5, "STATUS_IO_TIMEOUT", Condition::TimedOut),
    known(0xC000_00C0, "STATUS_DEVICE_DOES_NOT_EXIST", Condition::Gone),
    known(0xC000_0120, "STATUS_CANCELLED", Condition::Cancelled),
    known(0xC000_0184, "STATUS_INVALID_DEVICE_STATE", Condition::NotReady),
    known(0xC000_0185, "STATUS_IO_DEVICE_ERROR", Condition::DeviceFault),
    known(0xC000_02B6, "STATUS_DEVICE_REMOVED", Condition::Gone),
];

#[cfg(test)]
mod tests {
    use super::{DeviceError, NT_STATUS, WIN32};

    #[test]
    fn tables_are_in_order_without_doubles() {
        for table in [WIN32, NT_STATUS] {
            for pair in table.windows(2) {
                assert!(pair[0].code < pair[1].code, "{} and {}", pair[0].name, pair[1].name);
            }
        }
    }

    #[test]
    fn known_codes_are_shown_with_name_number_and_advice() {
        assert_eq!(
            DeviceError::NtStatus(0xC000_0120).to_string(),
            "STATUS_CANCELLED (0xC0000120): the request was cancelled"
        );
        assert_eq!(
            DeviceError::Win32(995).to_string(),
            "ERROR_OPERATION_ABORTED (995): the request was cancelled"
        );
    }

    #[test]
    fn unknown_codes_are_shown_as_numbers() {
        assert_eq!(DeviceError::NtStatus(0xC000_00BB).to_string(), "NTSTATUS 0xC00000BB");
        assert_eq!(
            DeviceError::Win32(50).to_string(),
            "Win32 error 50 (`net helpmsg 50` explains it)"
        );
        assert_eq!(DeviceError::Win32(50).name(), None);
    }
}
