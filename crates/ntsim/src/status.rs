//! `NTSTATUS` values that the model returns.

use std::fmt;

/// An `NTSTATUS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtStatus(pub u32);

macro_rules! statuses {
    ($($constant:ident = $value:literal $name:literal;)*) => {
        impl NtStatus {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Self = Self($value);
            )*

            /// The name that ntstatus.h gives the value, if the model knows it.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0x0000_0000 "STATUS_SUCCESS";
    TIMEOUT = 0x0000_0102 "STATUS_TIMEOUT";
    PENDING = 0x0000_0103 "STATUS_PENDING";
    BUFFER_OVERFLOW = 0x8000_0005 "STATUS_BUFFER_OVERFLOW";
    UNSUCCESSFUL = 0xC000_0001 "STATUS_UNSUCCESSFUL";
    NOT_IMPLEMENTED = 0xC000_0002 "STATUS_NOT_IMPLEMENTED";
    INVALID_HANDLE = 0xC000_0008 "STATUS_INVALID_HANDLE";
    INVALID_PARAMETER = 0xC000_000D "STATUS_INVALID_PARAMETER";
    INVALID_PARAMETER_1 = 0xC000_00EF "STATUS_INVALID_PARAMETER_1";
    INVALID_PARAMETER_10 = 0xC000_00F8 "STATUS_INVALID_PARAMETER_10";
    NO_SUCH_DEVICE = 0xC000_000E "STATUS_NO_SUCH_DEVICE";
    NO_SUCH_FILE = 0xC000_000F "STATUS_NO_SUCH_FILE";
    INVALID_DEVICE_REQUEST = 0xC000_0010 "STATUS_INVALID_DEVICE_REQUEST";
    MORE_PROCESSING_REQUIRED = 0xC000_0016 "STATUS_MORE_PROCESSING_REQUIRED";
    ACCESS_DENIED = 0xC000_0022 "STATUS_ACCESS_DENIED";
    BUFFER_TOO_SMALL = 0xC000_0023 "STATUS_BUFFER_TOO_SMALL";
    OBJECT_NAME_NOT_FOUND = 0xC000_0034 "STATUS_OBJECT_NAME_NOT_FOUND";
    OBJECT_NAME_COLLISION = 0xC000_0035 "STATUS_OBJECT_NAME_COLLISION";
    OBJECT_NAME_EXISTS = 0x4000_0000 "STATUS_OBJECT_NAME_EXISTS";
    DELETE_PENDING = 0xC000_0056 "STATUS_DELETE_PENDING";
    INSUFFICIENT_RESOURCES = 0xC000_009A "STATUS_INSUFFICIENT_RESOURCES";
    DEVICE_NOT_CONNECTED = 0xC000_009D "STATUS_DEVICE_NOT_CONNECTED";
    DEVICE_NOT_READY = 0xC000_00A3 "STATUS_DEVICE_NOT_READY";
    NOT_SUPPORTED = 0xC000_00BB "STATUS_NOT_SUPPORTED";
    CANCELLED = 0xC000_0120 "STATUS_CANCELLED";
    FILE_CLOSED = 0xC000_0128 "STATUS_FILE_CLOSED";
    IO_TIMEOUT = 0xC000_00B5 "STATUS_IO_TIMEOUT";
    INVALID_DEVICE_STATE = 0xC000_0184 "STATUS_INVALID_DEVICE_STATE";
    IO_DEVICE_ERROR = 0xC000_0185 "STATUS_IO_DEVICE_ERROR";
    INVALID_BUFFER_SIZE = 0xC000_0206 "STATUS_INVALID_BUFFER_SIZE";
    NOT_FOUND = 0xC000_0225 "STATUS_NOT_FOUND";
    DEVICE_REMOVED = 0xC000_02B6 "STATUS_DEVICE_REMOVED";
    NO_MEMORY = 0xC000_0017 "STATUS_NO_MEMORY";
    ACCESS_VIOLATION = 0xC000_0005 "STATUS_ACCESS_VIOLATION";
    BREAKPOINT = 0x8000_0003 "STATUS_BREAKPOINT";
    ILLEGAL_INSTRUCTION = 0xC000_001D "STATUS_ILLEGAL_INSTRUCTION";
    PRIVILEGED_INSTRUCTION = 0xC000_0096 "STATUS_PRIVILEGED_INSTRUCTION";
    INTEGER_DIVIDE_BY_ZERO = 0xC000_0094 "STATUS_INTEGER_DIVIDE_BY_ZERO";
}

impl NtStatus {
    /// The header's `NT_SUCCESS`: success and informational values.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >> 31 == 0
    }

    /// The header's `NT_ERROR`.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >> 30 == 3
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}
