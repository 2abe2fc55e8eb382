//! Exceptions that DDIs raise on their caller.

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted},
    kernel::Kernel,
    status::NtStatus,
};

/// Raises `status` in the calling routine, which has no handler for it.
#[must_use = "whoever raised it must stop as well"]
pub(crate) fn status(k: &Kernel, status: NtStatus, message: &str) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::KMODE_EXCEPTION_NOT_HANDLED,
        [u64::from(status.0), k.caller().get(), 0, 0],
        "unhandled-exception",
        format!("{message}: the exception {status}"),
    ))
}
