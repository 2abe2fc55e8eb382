//! Kernel objects in a driver's memory: where they may lie, and when that memory may go.
//!
//! What is in use (a timer that is set, a DPC that is queued, an object that is waited for, a lock that is held, a resource that was not
//! deleted) the components know, which are asked when memory goes.

mod pageable;
mod stack;

pub(crate) use pageable::{What, check_resident};
pub(crate) use stack::{check_frames, check_live_stack, on_current_stack, put_on_stack};

use crate::bugcheck::{BugCheck, BugCheckCode as Code};

pub(super) fn violation(parameters: [u64; 4], rule: &'static str, message: String) -> BugCheck {
    BugCheck::new(Code::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters, rule, message)
}

#[cfg(test)]
mod tests;
