//! How a run ends where the model ends.

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted},
    kernel::Kernel,
};

/// Stops the run: the driver asks for what this machine does not have. `what` names the routine and the argument.
#[must_use = "whoever raised it must stop as well"]
pub fn not_modelled(k: &Kernel, what: impl AsRef<str>) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::MANUALLY_INITIATED_CRASH,
        [0; 4],
        "not-modelled",
        format!("not modelled: {}", what.as_ref()),
    ))
}
