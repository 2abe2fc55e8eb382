//! NTSTATUS values.

use core::fmt;

use wdk_sys::NTSTATUS;

use crate::error::{Error, Result};

/// An `NTSTATUS` of any kind: how a DDI, or a lower driver, tells its outcome.
///
/// A driver does not complete a request with one: it says `Ok(())`, or which [`Error`] there was.
///
/// See [Using NTSTATUS Values](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(NTSTATUS);

impl Status {
    /// The operation completed.
    pub const SUCCESS: Self = Self(wdk_sys::STATUS_SUCCESS);
    /// The request waits for something; it completes later.
    pub(crate) const PENDING: Self = Self(wdk_sys::STATUS_PENDING);

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

    /// `Ok` for a success or informational status, else the warning or error.
    ///
    /// # Errors
    /// The status itself; [`Error::DRIVER_INTERNAL_ERROR`] for what is [none](Error::from_raw).
    pub const fn into_result(self) -> Result<()> {
        if self.is_success() {
            return Ok(());
        }
        match Error::from_raw(self.0) {
            Some(error) => Err(error),
            None => Err(Error::DRIVER_INTERNAL_ERROR),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self(error.as_raw())
    }
}

impl From<Result<()>> for Status {
    fn from(result: Result<()>) -> Self {
        result.map_or_else(Self::from, |()| Self::SUCCESS)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({:#010x})", self.0)
    }
}
