//! What compilers refer to: `_purecall`, `_fltused`.

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Contract, Registry},
};

/// The value that marks an image with floating-point code.
const FLOATING_POINT_USED: u32 = 0x9875;

pub(super) fn register(ddi: &mut Registry) {
    ddi.data("_fltused", 4, |k, at| k.write(at, FLOATING_POINT_USED));
    ddi.function("_purecall", 0, Contract::ANY, |k, _| -> Outcome<()> {
        Err(k.bugcheck(BugCheck::new(
            Code::KMODE_EXCEPTION_NOT_HANDLED,
            [0xC000_0002, k.caller().get(), 0, 0],
            "pure-virtual-call",
            "a pure virtual function was called: the object is being made or was destroyed",
        )))
    });
}
