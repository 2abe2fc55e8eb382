//! `KeBugCheckEx`: the driver itself stops the system.

use crate::{
    bugcheck::{BugCheck, BugCheckCode, Outcome},
    ddi::{Contract, Registry},
    kernel::Kernel,
};

fn stop(k: &Kernel, code: u32, parameters: [u64; 4]) -> Outcome<()> {
    let code = BugCheckCode(code);
    Err(k.bugcheck(BugCheck::new(
        code,
        parameters,
        "driver-bug-check",
        "the driver stopped the system itself",
    )))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("KeBugCheckEx", 5, Contract::ANY, |k, args| {
        let parameters = [args.u64(1), args.u64(2), args.u64(3), args.u64(4)];
        stop(k, args.u32(0), parameters)
    });
    ddi.function("KeBugCheck", 1, Contract::ANY, |k, args| stop(k, args.u32(0), [0; 4]));
}
