//! IRPs that were cancelled and do not end.
//!
//! A driver that pends an IRP for longer than a moment lets it be cancelled: `IoCancelIrp` marks the IRP and calls its cancel routine, and then
//! somebody has to complete it. Until then the program that sent it cannot end ("Introduction to Cancelable IRPs"). Driver Verifier stops when
//! a cancelled IRP is not completed in time: bug check 0xC4 with 0x135.

use ntlayout::{io_stack_location as stack, irp as layout};

use super::irp::{self, Origin};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    kernel::Kernel,
    mm::Va,
    report,
    sched::VirtualTime,
};

/// How long a cancelled IRP may take, nanoseconds.
const LIMIT: VirtualTime = 5 * 60 * 1_000_000_000;
/// Parameter 1 of the bug check.
const NOT_COMPLETED: u64 = 0x135;

/// `IoCancelIrp` was called for `irp`. Only the first time counts, and an IRP of a driver's own only while a lower driver has it.
pub(super) fn watch(k: &Kernel, irp: Va) {
    let now = k.now();
    let record = k.io().borrow().irps.find(irp);
    if record.is_none_or(|record| record.origin() != Origin::IoManager && !record.is_under_way()) {
        return;
    }
    k.io().borrow_mut().irps.cancelled.entry(irp).or_insert(now);
}

/// When the next cancelled IRP will have taken too long.
pub(crate) fn next_due(k: &Kernel) -> Option<VirtualTime> {
    let io = k.io().borrow();
    io.irps.cancelled.values().min().map(|since| since + LIMIT)
}

/// Stops the machine when a cancelled IRP has taken too long.
///
/// # Errors
/// When one has.
pub(crate) fn check(k: &Kernel) -> Outcome<()> {
    let now = k.now();
    let overdue = {
        let io = k.io().borrow();
        let mut cancelled = io.irps.cancelled.iter();
        cancelled.find(|(_, since)| **since + LIMIT <= now).map(|(&irp, _)| irp)
    };
    overdue.map_or(Ok(()), |irp| stop(k, irp))
}

/// The report begins where the driver has last changed the `Control` byte of its stack location: where it has marked the IRP pending.
fn stop(k: &Kernel, irp: Va) -> Outcome<()> {
    let what = k.io().borrow().irps.find(irp).map_or("IRP", |record| record.what());
    let routine: Va = k.read(irp + layout::CANCEL_ROUTINE)?;
    let number: u8 = k.read(irp + layout::CURRENT_LOCATION)?;
    let count: u8 = k.read(irp + layout::STACK_COUNT)?;
    let location = irp::location(irp, number.clamp(1, count.max(1)));
    let device: Va = k.read(location + stack::DEVICE_OBJECT)?;
    let marked_at = k.last_store(location + stack::CONTROL, 1);
    let how = if routine.is_null() {
        "it has no cancel routine, and nobody has looked at Irp->Cancel"
    } else {
        "its cancel routine was set after it had been cancelled"
    };
    let parameters = [NOT_COMPLETED, irp.get(), LIMIT / 1_000_000, 0];
    let bugcheck = BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        parameters,
        "cancelled-irp-not-completed",
        format!(
            "IRP {irp} ({what}) was cancelled and has not been completed within five minutes by the driver of device {device}: {how}; a driver \
             that pends an IRP sets a cancel routine by IoSetCancelRoutine, or uses a cancel-safe queue"
        ),
    );
    Err(k.bugcheck_at(bugcheck, marked_at.map(|at| report::stack_from(k, at))))
}
