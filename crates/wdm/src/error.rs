//! Why a driver routine or a DDI failed.

use core::fmt;

use wdk_sys::{NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED};

/// An `NTSTATUS` that says that something failed: a warning or an error, for which `NT_SUCCESS` does not hold.
///
/// It is one by construction. A request cannot be completed as pending, nor with -1, which Driver Verifier reports
/// (bug check 0xC9), and a routine cannot fail with a success.
///
/// ```no_run
/// use wdm::Error;
///
/// /// A status that this crate has no name for.
/// const DEVICE_BUSY: Error = match Error::from_raw(0x8000_0011_u32.cast_signed()) {
///     Some(error) => error,
///     None => panic!("a warning"),
/// };
/// # fn main() {}
/// ```
///
/// See [Using NTSTATUS Values](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Error(NTSTATUS);

/// What a fallible routine of a driver returns.
pub type Result<T> = core::result::Result<T, Error>;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $raw:ident;)*) => {
        impl Error {
            $($(#[$doc])* pub const $name: Self = Self(wdk_sys::$raw);)*
        }

        const _: () = {
            $(assert!(Error::from_raw(wdk_sys::$raw).is_some(), "a warning or an error");)*
        };
    };
}

errors! {
    /// The request was cancelled, by `CancelIoEx` or because its handle was closed.
    CANCELLED = STATUS_CANCELLED;
    /// The output buffer is too small for what the request answers.
    BUFFER_TOO_SMALL = STATUS_BUFFER_TOO_SMALL;
    /// A value given by the caller, or the length of its input, is not valid.
    INVALID_PARAMETER = STATUS_INVALID_PARAMETER;
    /// The device does not know this request.
    INVALID_DEVICE_REQUEST = STATUS_INVALID_DEVICE_REQUEST;
    /// The device is not in a state in which it can do this.
    INVALID_DEVICE_STATE = STATUS_INVALID_DEVICE_STATE;
    /// The device has not been started.
    DEVICE_NOT_READY = STATUS_DEVICE_NOT_READY;
    /// The device was taken out while in use.
    DEVICE_REMOVED = STATUS_DEVICE_REMOVED;
    /// The device is being removed.
    DELETE_PENDING = STATUS_DELETE_PENDING;
    /// There is no such device (any more).
    NO_SUCH_DEVICE = STATUS_NO_SUCH_DEVICE;
    /// The device cannot be used with the resources that it was given.
    DEVICE_CONFIGURATION_ERROR = STATUS_DEVICE_CONFIGURATION_ERROR;
    /// The hardware did not answer as its documentation says.
    DEVICE_HARDWARE_ERROR = STATUS_DEVICE_HARDWARE_ERROR;
    /// Pool or another system resource is exhausted.
    INSUFFICIENT_RESOURCES = STATUS_INSUFFICIENT_RESOURCES;
    /// It has failed, and no other status says why.
    UNSUCCESSFUL = STATUS_UNSUCCESSFUL;
    /// This is not supported.
    NOT_SUPPORTED = STATUS_NOT_SUPPORTED;
    /// The driver broke a rule of its own.
    DRIVER_INTERNAL_ERROR = STATUS_DRIVER_INTERNAL_ERROR;
    /// A read begins at or behind the end.
    END_OF_FILE = STATUS_END_OF_FILE;
    /// A write does not fit, and there is no more room.
    DISK_FULL = STATUS_DISK_FULL;
    /// There is more data than the buffer takes.
    BUFFER_OVERFLOW = STATUS_BUFFER_OVERFLOW;
    /// A registry value is of another type than the one asked for.
    OBJECT_TYPE_MISMATCH = STATUS_OBJECT_TYPE_MISMATCH;
    /// There is nothing of that name.
    OBJECT_NAME_NOT_FOUND = STATUS_OBJECT_NAME_NOT_FOUND;
    /// The device did not answer in time.
    IO_TIMEOUT = STATUS_IO_TIMEOUT;
}

impl Error {
    /// The error with this value; `None` for a success or informational status, for -1, which is no status, and for
    /// `STATUS_MORE_PROCESSING_REQUIRED`, which is no outcome: a completion routine above that returned it would stop the completion.
    #[must_use]
    pub const fn from_raw(raw: NTSTATUS) -> Option<Self> {
        if wdk::nt_success(raw) || raw == -1 || raw == STATUS_MORE_PROCESSING_REQUIRED {
            None
        } else {
            Some(Self(raw))
        }
    }

    /// The value, for a DDI.
    #[must_use]
    pub const fn as_raw(self) -> NTSTATUS {
        self.0
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:#010x})", self.0)
    }
}

impl From<core::convert::Infallible> for Error {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}
