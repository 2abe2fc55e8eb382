//! Driver Verifier's I/O verification: what it stops with when a driver breaks a rule of the I/O manager.
//!
//! Codes and parameters are those that the bug check reference gives for `DRIVER_VERIFIER_IOMANAGER_VIOLATION` (0xC9).

use crate::{
    bugcheck::{BugCheck, BugCheckCode, Halted, Outcome},
    kernel::Kernel,
    mm::Va,
    report,
};

/// An I/O error code: parameter 1 of the bug check, with this machine's name of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoRule {
    /// Parameter 1.
    pub code: u64,
    /// The rule's name in reports.
    pub name: &'static str,
}

macro_rules! io_rules {
    ($($constant:ident = $code:literal $name:literal $doc:literal;)*) => {
        impl IoRule {
            $(
                #[doc = $doc]
                pub const $constant: Self = Self { code: $code, name: $name };
            )*
        }
    };
}

io_rules! {
    FREED_NO_IRP = 0x01 "free-irp-without-irp" "`IoFreeIrp` was given something that is no IRP.";
    FREED_THREADS_IRP = 0x02 "free-irp-of-thread" "`IoFreeIrp` was given an IRP that is still associated with a thread.";
    NOT_AN_IRP = 0x03 "call-driver-without-irp" "`IoCallDriver` was given something that is no IRP.";
    NOT_A_DEVICE = 0x04 "call-driver-without-device" "`IoCallDriver` was given something that is no device object.";
    COMPLETED_PENDING = 0x06 "completed-as-pending" "An IRP was completed with `STATUS_PENDING`, or with no status at all.";
    COMPLETED_CANCELLABLE = 0x07 "completed-with-cancel-routine" "An IRP was completed while its cancel routine was set.";
    DELETED_ATTACHED = 0x201 "device-deleted-while-attached" "A device object was deleted while it was attached to a lower one.";
    DETACHED_TWICE = 0x202 "detach-without-attachment" "A device was detached that was not attached.";
    FORWARDED_CANCELLABLE = 0x203 "forwarded-with-cancel-routine" "An IRP was forwarded while its cancel routine was set.";
    NULL_DEVICE = 0x204 "call-driver-without-device" "`IoCallDriver` was given a null device object.";
    CONTROL_NOT_ZEROED = 0x206 "forwarded-with-control-flags" "An IRP was forwarded with a stack location copied by hand.";
    NOT_DETACHED_AT_REMOVE = 0x21D "not-detached-at-remove" "A device is still attached after `IRP_MN_REMOVE_DEVICE`.";
    NOT_DELETED_AT_REMOVE = 0x21E "not-deleted-at-remove" "A device object still exists after `IRP_MN_REMOVE_DEVICE`.";
    STATUS_INCONSISTENT = 0x224 "dispatch-status-differs" "A dispatch routine returned another status than it completed the IRP with.";
    NEITHER_COMPLETED_NOR_PENDING = 0x226 "neither-completed-nor-pending" "A dispatch routine neither completed the IRP nor returned `STATUS_PENDING`.";
    PENDING_NOT_PROPAGATED = 0x228 "pending-not-propagated" "A completion routine did not mark the IRP pending although `PendingReturned` was set.";
    COMPLETED_NOT_PASSED_DOWN = 0x22E "pnp-not-passed-down" "A function driver completed a successful PnP IRP instead of passing it down.";
    COMPLETED_UNTOUCHED = 0x22F "pnp-not-passed-down" "A function driver completed a PnP IRP it does not handle instead of passing it down.";
    PNP_STATUS_CHANGED = 0x213 "unknown-irp-answered" "The status of a PnP IRP was changed that no driver understands.";
    INFORMATION_CHANGED = 0x214 "unknown-irp-answered" "The information of an IRP was changed that no driver understands.";
    STATUS_CHANGED = 0x23B "unknown-irp-answered" "The status of a power IRP was changed that no driver understands.";
    COMPLETED_NOT_UNDERSTOOD = 0x22D "unknown-irp-answered" "A PnP IRP was completed, instead of being passed down, that no driver understands.";
    ROUTINE_MISSING = 0x21F "dispatch-routine-missing" "A driver has no dispatch routine for a major function that it needs one for.";
    ILLEGAL_STATUS = 0x225 "illegal-status" "A dispatch routine returned 0xFFFFFFFF.";
    DELETED_PRESENT = 0x221 "present-child-deleted" "A bus driver deleted the physical device object of a device that it has not reported missing.";
    NOT_ANSWERED = 0x22A "pdo-without-answer" "A physical device object did not answer a request that it must.";
    RELATION_NOT_A_PDO = 0x248 "relation-not-a-pdo" "A bus driver reported a device object that is no physical device object.";
    FREED_IN_USE = 0x20B "irp-under-way" "`IoFreeIrp` was given an IRP that is in use.";
    INITIALIZED_ALLOCATED = 0x20D "irp-initialized-twice" "`IoInitializeIrp` was given an IRP that `IoAllocateIrp` has made.";
    REINITIALIZED_IN_USE = 0x310 "irp-under-way" "An IRP was initialized again that is in use.";
    FAILED_PNP_PASSED_DOWN = 0x215 "failed-irp-passed-down" "A PnP IRP that was failed was passed down instead of being completed.";
    FAILED_POWER_PASSED_DOWN = 0x219 "failed-irp-passed-down" "A power IRP that was failed was passed down instead of being completed.";
    POWER_COMPLETED = 0x231 "power-not-passed-down" "A function driver completed a successful power IRP instead of passing it down.";
    POWER_COMPLETED_UNTOUCHED = 0x232 "power-not-passed-down" "A function driver completed a power IRP it does not handle instead of passing it down.";
    CAPABILITIES_VERSION = 0x233 "capabilities-not-initialized" "`IRP_MN_QUERY_CAPABILITIES` was sent with a wrong version of its structure.";
    CAPABILITIES_SIZE = 0x234 "capabilities-not-initialized" "`IRP_MN_QUERY_CAPABILITIES` was sent with a wrong size of its structure.";
    FORWARDED_AT_WRONG_IRQL = 0x23A "forwarded-at-wrong-irql" "An IRP was forwarded at an IRQL that its major function does not allow.";
    MARKED_PENDING_ONLY = 0x23E "marked-pending-only" "An IRP was marked pending, but the dispatch routine returned another status.";
    POWER_PAGABLE_NOT_INHERITED = 0x23F "power-pagable-not-inherited" "A device did not take over `DO_POWER_PAGABLE` from the stack it attached to.";
    DELETED_TWICE = 0x240 "device-deleted-twice" "A device object was deleted twice.";
    DETACHED_AT_SURPRISE = 0x241 "detached-at-surprise-removal" "A device detached itself at `IRP_MN_SURPRISE_REMOVAL`.";
    DELETED_AT_SURPRISE = 0x242 "deleted-at-surprise-removal" "A device deleted itself at `IRP_MN_SURPRISE_REMOVAL`.";
    STILL_INITIALIZING = 0x243 "still-initializing" "`DO_DEVICE_INITIALIZING` was still set after `AddDevice`.";
    CANNOT_BE_FAILED = 0x247 "failed-what-cannot-fail" "An IRP was failed that must not be.";
    RETURNED_PENDING_ONLY = 0x24C "returned-pending-only" "A dispatch routine returned `STATUS_PENDING` without marking the IRP pending.";
    NOT_A_PDO = 0x24D "not-a-pdo" "A routine that needs a physical device object was given another.";
    INFORMATION_TOO_LARGE = 0x312 "information-exceeds-buffer" "`IoStatus.Information` exceeds the output buffer.";
}

/// As [`violation`], where what broke the rule is a `routine` of the driver's that has returned already: the report begins there.
pub(crate) fn violation_in(
    k: &Kernel,
    rule: IoRule,
    routine: Va,
    irp: Va,
    device: Va,
    message: impl Into<String>,
) -> Halted {
    let parameters = [rule.code, routine.get(), irp.get(), device.get()];
    let code = BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION;
    let stack = report::stack_from(k, routine);
    k.bugcheck_at(BugCheck::new(code, parameters, rule.name, message), Some(stack))
}

/// Stops the machine because `rule` is broken: the IRP and the device it is about, either of which may be null.
pub(crate) fn violation(k: &Kernel, rule: IoRule, irp: Va, device: Va, message: impl Into<String>) -> Halted {
    k.bugcheck(bugcheck(k, rule, irp, device, message))
}

/// As [`violation`], for a rule that can be let pass.
///
/// # Errors
/// When the rule is on.
pub(crate) fn verify(k: &Kernel, rule: IoRule, irp: Va, device: Va, message: impl Into<String>) -> Outcome<()> {
    k.verify(bugcheck(k, rule, irp, device, message))
}

fn bugcheck(k: &Kernel, rule: IoRule, irp: Va, device: Va, message: impl Into<String>) -> BugCheck {
    BugCheck::new(
        BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION,
        // The codes below 0x200 are bug checks with parameters of their own; from there on the place comes first.
        match rule.code {
            IoRule::FREED_NO_IRP_CODE | IoRule::FREED_THREADS_IRP_CODE | IoRule::NOT_AN_IRP_CODE => {
                [rule.code, irp.get(), 0, 0]
            }
            IoRule::NOT_A_DEVICE_CODE => [rule.code, device.get(), 0, 0],
            _ => [rule.code, k.caller().get(), irp.get(), device.get()],
        },
        rule.name,
        message,
    )
}

impl IoRule {
    const FREED_NO_IRP_CODE: u64 = Self::FREED_NO_IRP.code;
    const FREED_THREADS_IRP_CODE: u64 = Self::FREED_THREADS_IRP.code;
    const NOT_AN_IRP_CODE: u64 = Self::NOT_AN_IRP.code;
    const NOT_A_DEVICE_CODE: u64 = Self::NOT_A_DEVICE.code;
}
