//! At which IRQL a thread may wait, with Driver Verifier's codes.

use super::Timeout;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
};

const WAIT_ABOVE_DISPATCH: u64 = 0x120;
const ENDLESS_WAIT_AT_DISPATCH: u64 = 0x121;
const WAIT_AT_DISPATCH: u64 = 0x122;

/// At `DISPATCH_LEVEL` a wait may only look; above, not even that.
pub(super) fn check(k: &Kernel, routine: &str, object: Va, timeout: Timeout, pointer: Va) -> Outcome<()> {
    let irql = k.irql();
    let subcode = match timeout {
        _ if irql > Irql::DISPATCH => WAIT_ABOVE_DISPATCH,
        Timeout::Never if irql == Irql::DISPATCH => ENDLESS_WAIT_AT_DISPATCH,
        Timeout::Until(_) if irql == Irql::DISPATCH => WAIT_AT_DISPATCH,
        _ => return Ok(()),
    };
    // Windows gives the address of the IRQL's value; here parameter 2 is the IRQL itself.
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, u64::from(irql.0), object.get(), pointer.get()],
        "wait-at-dispatch",
        format!("{routine} was called at {irql} for the object at {object}, with a timeout other than zero"),
    )))
}
