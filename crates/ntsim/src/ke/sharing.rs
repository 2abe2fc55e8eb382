//! What breaking the rule of unlocked sharing is reported as.

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, VerifierRule},
    kernel::Kernel,
    mm::Pa,
    verifier::{AccessSite, Violation},
};

/// The bug check of a violation. Windows cannot see this one: the subcode is this machine's own.
pub(crate) fn bugcheck(k: &Kernel, violation: &Violation) -> BugCheck {
    let pa = Pa(violation.address);
    let va = k.watch().space.borrow().virtual_of(pa);
    let address = va.map_or(pa.0, crate::mm::Va::get);
    let place = va.map_or_else(|| pa.to_string(), |va| va.to_string());
    let site = |site: &AccessSite| {
        let pc = crate::mm::Va(site.pc);
        format!("cpu{} at {pc}", site.processor)
    };
    BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [
            VerifierRule::UNLOCKED_SHARING.subcode,
            address,
            violation.first.pc,
            violation.second.pc,
        ],
        "unlocked-sharing",
        format!(
            "{place} is updated without a common lock by {} and by {}: on real processors updates get lost",
            site(&violation.first),
            site(&violation.second)
        ),
    )
}
