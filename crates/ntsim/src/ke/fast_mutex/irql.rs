//! At which IRQL fast mutexes are acquired and released, with Driver Verifier's codes.

use super::violation;
use crate::{
    bugcheck::Outcome,
    ke::{Irql, region},
    kernel::Kernel,
    mm::Va,
};

const ACQUIRED_ABOVE_APC: u64 = 0x33;
const RELEASED_AT_WRONG_IRQL: u64 = 0x34;
const UNSAFELY_ACQUIRED: u64 = 0x39;
const UNSAFELY_RELEASED: u64 = 0x3A;

/// `ExAcquireFastMutex` and `ExTryToAcquireFastMutex`: at `APC_LEVEL` or below.
pub(super) fn check_acquire(k: &Kernel, routine: &str, mutex: Va) -> Outcome<()> {
    let irql = k.irql();
    if irql <= Irql::APC {
        return Ok(());
    }
    let message =
        format!("{routine} was called at {irql} for the fast mutex at {mutex}, but waits at APC_LEVEL or below only");
    let parameters = [ACQUIRED_ABOVE_APC, u64::from(irql.0), mutex.get(), 0];
    k.verify(violation(parameters, "irql-contract", message))
}

/// `ExReleaseFastMutex`: at the `APC_LEVEL` that acquiring has raised to.
pub(super) fn check_release(k: &Kernel, mutex: Va) -> Outcome<()> {
    let irql = k.irql();
    if irql == Irql::APC {
        return Ok(());
    }
    let message =
        format!("ExReleaseFastMutex was called at {irql} for the fast mutex at {mutex}, which is held at APC_LEVEL");
    k.verify(violation(
        parameters(k, RELEASED_AT_WRONG_IRQL, mutex),
        "irql-contract",
        message,
    ))
}

/// The unsafe routines: the caller has seen to it that it takes no APCs.
pub(super) fn check_unsafe(k: &Kernel, routine: &str, mutex: Va) -> Outcome<()> {
    let irql = k.irql();
    if irql <= Irql::APC && region::may_own_locks(k) {
        return Ok(());
    }
    let subcode = if routine.contains("Acquire") {
        UNSAFELY_ACQUIRED
    } else {
        UNSAFELY_RELEASED
    };
    let message = format!(
        "{routine} was called at {irql} for the fast mutex at {mutex}: it is called at APC_LEVEL, or in a critical or guarded region"
    );
    k.verify(violation(
        parameters(k, subcode, mutex),
        "unsafe-lock-with-apcs",
        message,
    ))
}

fn parameters(k: &Kernel, subcode: u64, mutex: Va) -> [u64; 4] {
    let disabled = u64::from(region::current(k).kernel_apc_disable());
    [subcode, u64::from(k.irql().0), disabled, mutex.get()]
}
