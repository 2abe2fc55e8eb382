//! NTSTATUS values.

use core::fmt;

use wdk_sys::NTSTATUS;

/// An `NTSTATUS`: how a driver routine or a DDI tells its outcome.
///
/// See [Using NTSTATUS Values](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(NTSTATUS);

/// What a fallible routine of a driver returns.
pub type Result<T> = core::result::Result<T, Status>;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $raw:ident;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self(wdk_sys::$raw);)*
        }
    };
}

statuses! {
    /// The operation completed.
    SUCCESS = STATUS_SUCCESS;
    /// The request waits for something; it completes later.
    PENDING = STATUS_PENDING;
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

impl Status {
    /// The status with this value.
    #[must_use]
    pub const fn from_raw(raw: NTSTATUS) -> Self {
        Self(raw)
    }

    /// The value, for a DDI.
    #[must_use]
    pub const fn as_raw(self) -> NTSTATUS {
        self.0
    }

    /// Whether `NT_SUCCESS` holds: a success or informational status.
    #[must_use]
    pub const fn is_success(self) -> bool {
        wdk::nt_success(self.0)
    }

    /// `Ok` for a success or informational status, else the status as error.
    ///
    /// # Errors
    /// The status itself, if it is a warning or an error.
    pub const fn into_result(self) -> Result<()> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({:#010x})", self.0)
    }
}

impl From<core::convert::Infallible> for Status {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}
