//! Critical and guarded regions, in which a thread takes no APCs: `KeEnterCriticalRegion`, `KeLeaveCriticalRegion`,
//! `KeEnterGuardedRegion`, `KeLeaveGuardedRegion`, `KeAreApcsDisabled`, `KeAreAllApcsDisabled`.
//!
//! Both nest. A thread leaves what it has entered before its dispatch, completion or worker routine returns.

use super::Irql;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    sched::Mode,
};

/// How deep a thread is in regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    /// Critical regions: normal kernel APCs are disabled.
    pub critical: u16,
    /// Guarded regions: special kernel APCs as well.
    pub guarded: u16,
}

impl Regions {
    /// `KernelApcDisable`: 0, or minus the number of critical regions.
    #[must_use]
    pub fn kernel_apc_disable(self) -> u16 {
        0_u16.wrapping_sub(self.critical)
    }

    /// `CombinedApcDisable`: `SpecialApcDisable` in the upper half, `KernelApcDisable` in the lower one.
    #[must_use]
    pub fn combined(self) -> u64 {
        let special = 0_u16.wrapping_sub(self.guarded);
        u64::from(special) << 16 | u64::from(self.kernel_apc_disable())
    }
}

/// The regions of the current thread; none when no thread runs.
#[must_use]
pub fn current(k: &Kernel) -> Regions {
    k.current_thread().map_or_else(Regions::default, |thread| {
        k.scheduler().borrow().threads[thread.0].regions
    })
}

fn change(k: &Kernel, work: impl FnOnce(&mut Regions)) {
    if let Some(thread) = k.current_thread() {
        work(&mut k.scheduler().borrow_mut().threads[thread.0].regions);
    }
}

/// `KeEnterCriticalRegion`.
pub fn enter_critical(k: &Kernel) {
    change(k, |regions| regions.critical = regions.critical.saturating_add(1));
}

/// `KeEnterGuardedRegion`.
pub fn enter_guarded(k: &Kernel) {
    change(k, |regions| regions.guarded = regions.guarded.saturating_add(1));
}

/// `KeLeaveCriticalRegion`.
///
/// # Errors
/// When the thread is in none: Driver Verifier's 0xC4, 0x3E.
pub fn leave_critical(k: &Kernel) -> Outcome<()> {
    const NOT_IN_REGION: u64 = 0x3E;
    if k.current_thread().is_some() && current(k).critical == 0 {
        return k.verify(violation(
            [NOT_IN_REGION, 0, 0, 0],
            "KeLeaveCriticalRegion was called by a thread that is in no critical region",
        ));
    }
    change(k, |regions| regions.critical = regions.critical.saturating_sub(1));
    Ok(())
}

/// `KeLeaveGuardedRegion`.
///
/// # Errors
/// When the thread is in none: the rule `GuardedRegions`.
pub fn leave_guarded(k: &Kernel) -> Outcome<()> {
    if k.current_thread().is_some() && current(k).guarded == 0 {
        return k.verify(violation(
            [VerifierRule::GUARDED_REGIONS.subcode, 0, 0, 0],
            "KeLeaveGuardedRegion was called by a thread that is in no guarded region",
        ));
    }
    change(k, |regions| regions.guarded = regions.guarded.saturating_sub(1));
    Ok(())
}

/// `KeAreApcsDisabled`: normal kernel APCs are not delivered.
#[must_use]
pub fn apcs_disabled(k: &Kernel) -> bool {
    current(k).critical > 0 || all_apcs_disabled(k)
}

/// `KeAreAllApcsDisabled`: special kernel APCs are not delivered either.
#[must_use]
pub fn all_apcs_disabled(k: &Kernel) -> bool {
    current(k).guarded > 0 || k.irql() >= Irql::APC
}

/// Whether the current thread may own a lock that must not be held by a thread that can be suspended: APCs are disabled, or it is a
/// system thread, which nobody suspends.
#[must_use]
pub(crate) fn may_own_locks(k: &Kernel) -> bool {
    let system = k
        .current_thread()
        .is_none_or(|thread| k.thread_mode(thread) == Mode::Kernel);
    system || apcs_disabled(k)
}

/// What a routine of the driver's has done when it returns in other regions than it was called in; none when nothing is looked at.
pub(crate) fn changed(label: &'static str, routine: Va, before: Regions, after: Regions) -> Option<BugCheck> {
    const DISPATCH_ROUTINE: u64 = 0xC5;
    const COMPLETION_ROUTINE: u64 = 0xFB;
    const WORKER: u64 = 1;
    if before == after {
        return None;
    }
    let (was, is) = (before.combined(), after.combined());
    let (code, parameters) = match label {
        label if label.starts_with("dispatch") => (
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [DISPATCH_ROUTINE, routine.get(), is, was],
        ),
        "completion routine" => (
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [COMPLETION_ROUTINE, routine.get(), is, was],
        ),
        "work item" | "worker routine" => (Code::APC_INDEX_MISMATCH, [routine.get(), 0, is, WORKER]),
        _ => return None,
    };
    let depth = |regions: Regions| format!("{} critical and {} guarded regions", regions.critical, regions.guarded);
    Some(BugCheck::new(
        code,
        parameters,
        "apc-disable-count",
        format!(
            "{label} at {routine} was called in {} and returned in {}: KeEnterCriticalRegion and KeEnterGuardedRegion are undone \
             before the return",
            depth(before),
            depth(after)
        ),
    ))
}

fn violation(parameters: [u64; 4], message: &str) -> BugCheck {
    BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        parameters,
        "region-not-entered",
        message,
    )
}

/// Above `APC_LEVEL` Driver Verifier has a code for each of the two routines of critical regions.
fn check_irql(k: &Kernel, subcode: u64, routine: &str) -> Outcome<()> {
    let irql = k.irql();
    if irql <= Irql::APC {
        return Ok(());
    }
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, u64::from(irql.0), 0, 0],
        "irql-contract",
        format!("{routine} was called at {irql}, but may be called at APC_LEVEL or below only"),
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    const ENTERED_ABOVE_APC: u64 = 0x11A;
    const LEFT_ABOVE_APC: u64 = 0x11B;
    ddi.function("KeEnterCriticalRegion", 0, Contract::ANY, |k, _| {
        check_irql(k, ENTERED_ABOVE_APC, "KeEnterCriticalRegion")?;
        enter_critical(k);
        Ok(())
    });
    ddi.function("KeLeaveCriticalRegion", 0, Contract::ANY, |k, _| {
        check_irql(k, LEFT_ABOVE_APC, "KeLeaveCriticalRegion")?;
        leave_critical(k)
    });
    let at_apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_APC_LTE_2);
    ddi.function("KeEnterGuardedRegion", 0, at_apc, |k, _| {
        enter_guarded(k);
        Ok(())
    });
    ddi.function("KeLeaveGuardedRegion", 0, at_apc, |k, _| leave_guarded(k));
    let query = Contract::at_most(Irql::DISPATCH);
    ddi.function("KeAreApcsDisabled", 0, query, |k, _| Ok(apcs_disabled(k)));
    ddi.function("KeAreAllApcsDisabled", 0, query, |k, _| Ok(all_apcs_disabled(k)));
}

#[cfg(test)]
mod tests;
