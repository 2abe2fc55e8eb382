//! Semaphores: `KeInitializeSemaphore`, `KeReleaseSemaphore`, `KeReadStateSemaphore`.

use ntlayout::{dispatcher_header as header, ksemaphore as layout};

use super::{Irql, event, wait};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ex::raise,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `KeInitializeSemaphore`.
///
/// # Errors
/// When the object's memory cannot be written.
pub fn initialize(k: &Kernel, semaphore: Va, count: i32, limit: i32) -> Outcome<()> {
    wait::object::initialize(k, semaphore, wait::object::SEMAPHORE, layout::SIZE, count)?;
    k.write(semaphore + layout::LIMIT, limit)
}

/// `KeReleaseSemaphore`: returns the count before.
///
/// # Errors
/// When the count would exceed the semaphore's limit: an exception.
pub fn release(k: &Kernel, semaphore: Va, adjustment: i32) -> Outcome<i32> {
    let before: i32 = k.read(semaphore + header::SIGNAL_STATE)?;
    let limit: i32 = k.read(semaphore + layout::LIMIT)?;
    let after = before
        .checked_add(adjustment)
        .filter(|&after| after <= limit && after >= before);
    let Some(after) = after else {
        let message = format!(
            "KeReleaseSemaphore adds {adjustment} to the count {before} of the semaphore at {semaphore}, whose limit is {limit}"
        );
        return Err(raise::status(k, NtStatus::SEMAPHORE_LIMIT_EXCEEDED, &message));
    };
    k.write(semaphore + header::SIGNAL_STATE, after)?;
    if after > before {
        wait::signalled(k, semaphore)?;
    }
    Ok(before)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH).by_rule(VerifierRule::IRQL_KE_DISPATCH_LTE);
    ddi.function("KeInitializeSemaphore", 3, contract, |k, args| {
        initialize(k, args.va(0), args.u32(1).cast_signed(), args.u32(2).cast_signed())
    });
    ddi.function("KeReleaseSemaphore", 4, contract, |k, args| {
        event::check_wait_follows(k, "KeReleaseSemaphore", args.bool(3))?;
        release(k, args.va(0), args.u32(2).cast_signed())
    });
    ddi.function("KeReadStateSemaphore", 1, contract, |k, args| {
        k.read::<i32>(args.va(0) + header::SIGNAL_STATE)
    });
}
