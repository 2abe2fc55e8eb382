//! Exceptions that DDIs raise on their caller.

use crate::{bugcheck::Halted, exception, kernel::Kernel, status::NtStatus};

/// Raises `status` in the calling routine, which may handle it. `message` says what the routine found, for when it does not.
#[must_use = "whoever raised it must return"]
pub(crate) fn status(k: &Kernel, status: NtStatus, message: &str) -> Halted {
    exception::raise_with(k, status, format!("{message}: the exception {status}"))
}
