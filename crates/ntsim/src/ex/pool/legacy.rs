//! Pool as older drivers ask for it: `ExAllocatePool`, `ExAllocatePoolWithTag`, `ExAllocatePoolWithQuota`,
//! `ExAllocatePoolWithQuotaTag`, `ExAllocatePoolWithTagPriority`. The newest form is here as well: `ExAllocatePool3`, `ExFreePool2`.

use super::{
    POOL_FLAG_NON_PAGED, POOL_FLAG_NON_PAGED_EXECUTE, POOL_FLAG_PAGED, POOL_FLAG_UNINITIALIZED,
    allocate as allocate_kind, executable_pool, free, violation, without_tag,
};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, Va},
    sched::ActivityKind,
};

/// The tag of pool that was asked for without one: `None`.
const NO_TAG: u32 = u32::from_le_bytes(*b"None");

/// Bits of `POOL_TYPE`, and flags that go with it.
const PAGED: u32 = 1;
const POOL_QUOTA_FAIL_INSTEAD_OF_RAISE: u32 = 8;

/// The pool that a `POOL_TYPE` names.
fn kind(pool_type: u32) -> PoolKind {
    if pool_type & PAGED == 0 {
        PoolKind::NonPagedNx
    } else {
        PoolKind::Paged
    }
}

/// `ExAllocatePoolWithTag`. The machine has pool as long as it is asked for it, so that nothing is raised for the lack of it.
///
/// # Errors
/// When the request breaks a rule.
pub(in crate::ex) fn allocate(k: &Kernel, pool_type: u32, size: u64, tag: u32) -> Outcome<Va> {
    if tag == 0 {
        return Err(without_tag(k, kind(pool_type), size));
    }
    executable_pool::check_type(k, pool_type, tag)?;
    allocate_kind(k, kind(pool_type), size, tag, false)
}

/// Quota is charged to the current process, which there is none of in a DPC.
fn check_quota(k: &Kernel) -> Outcome<()> {
    const QUOTA_IN_DPC: u64 = 0x10B;
    if k.activity() != Some(ActivityKind::Dpc) {
        return Ok(());
    }
    k.verify(violation(
        [QUOTA_IN_DPC, 0, 0, 0],
        "quota-in-dpc",
        "pool was asked for with quota in a DPC: whose process pays is a matter of chance".to_owned(),
    ))
}

/// Adds these exports. The IRQL contracts are checked where pool is allocated, since Driver Verifier has codes for them.
pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("ExAllocatePool", 2, any, |k, a| allocate(k, a.u32(0), a.u64(1), NO_TAG));
    ddi.function("ExAllocatePoolWithTag", 3, any, |k, a| {
        allocate(k, a.u32(0), a.u64(1), a.u32(2))
    });
    ddi.function("ExAllocatePoolWithTagPriority", 4, any, |k, a| {
        allocate(k, a.u32(0), a.u64(1), a.u32(2))
    });
    let quota = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_EX_APC_LTE);
    let nonpaged_quota = Contract::at_most(Irql::DISPATCH);
    for (name, arity) in [("ExAllocatePoolWithQuota", 2), ("ExAllocatePoolWithQuotaTag", 3)] {
        ddi.function(name, arity, any, move |k, a| {
            check_quota(k)?;
            let contract = match kind(a.u32(0)) {
                PoolKind::Paged => quota,
                PoolKind::NonPagedNx => nonpaged_quota,
            };
            let irql = k.irql();
            if !contract.allows(irql) {
                k.verify(contract.violation(name, irql))?;
            }
            let tag = if arity == 3 { a.u32(2) } else { NO_TAG };
            allocate(k, a.u32(0) & !POOL_QUOTA_FAIL_INSTEAD_OF_RAISE, a.u64(1), tag)
        });
    }
    ddi.function("ExAllocatePool3", 5, any, |k, a| {
        let (flags, size, tag, parameters, count) = (a.u64(0), a.u64(1), a.u32(2), a.va(3), a.u32(4));
        if !parameters_understood(k, parameters, count)? {
            return Ok(Va::NULL);
        }
        allocate_by_flags(k, flags, size, tag)
    });
    ddi.function("ExFreePool2", 4, any, |k, a| free(k, a.va(0), Some(a.u32(1))));
}

/// `ExAllocatePool2`: a call that names no pool or has a tag of 0 fails; it does not stop the system.
///
/// # Errors
/// When the request breaks a rule.
pub(super) fn allocate_by_flags(k: &Kernel, flags: u64, size: u64, tag: u32) -> Outcome<Va> {
    let kind = if flags & (POOL_FLAG_NON_PAGED | POOL_FLAG_NON_PAGED_EXECUTE) != 0 {
        PoolKind::NonPagedNx
    } else if flags & POOL_FLAG_PAGED != 0 {
        PoolKind::Paged
    } else {
        return Ok(Va::NULL);
    };
    if tag == 0 {
        return Ok(Va::NULL);
    }
    if flags & (POOL_FLAG_NON_PAGED_EXECUTE | POOL_FLAG_NON_PAGED) == POOL_FLAG_NON_PAGED_EXECUTE {
        executable_pool::check_type(k, 0, tag)?;
    }
    allocate_kind(k, kind, size, tag, flags & POOL_FLAG_UNINITIALIZED == 0)
}

/// Whether the `POOL_EXTENDED_PARAMETER`s of `ExAllocatePool3` ask for what the machine has: a priority or a NUMA node changes nothing
/// here. Of what is unknown only an optional one is ignored.
fn parameters_understood(k: &Kernel, parameters: Va, count: u32) -> Outcome<bool> {
    const SIZE: u64 = 16;
    const PRIORITY: u64 = 1;
    const SECURE_POOL: u64 = 2;
    const NUMA_NODE: u64 = 3;
    const OPTIONAL: u64 = 1 << 8;
    for index in 0..u64::from(count) {
        let header: u64 = k.read(parameters + index * SIZE)?;
        match header & 0xFF {
            PRIORITY | NUMA_NODE => {}
            SECURE_POOL => {
                return Err(k.not_modelled("ExAllocatePool3 was called for secure pool, which is not modelled"));
            }
            _ if header & OPTIONAL != 0 => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bugcheck::BugCheck,
        machine::testing::script::{crash, export, idle, memory, run},
    };

    const NX: u64 = 512;
    const TAG: u64 = 0x7453_6554;

    #[test]
    fn every_routine_gives_pool_of_the_type_and_tag_that_it_was_asked_for() {
        run(&idle(), 1, |k| async move {
            let none = u64::from(NO_TAG);
            for (name, arguments, kind, tag) in [
                ("ExAllocatePool", [NX, 24, 0, 0, 0], PoolKind::NonPagedNx, none),
                ("ExAllocatePool", [1, 24, 0, 0, 0], PoolKind::Paged, none),
                ("ExAllocatePoolWithTag", [NX, 24, TAG, 0, 0], PoolKind::NonPagedNx, TAG),
                ("ExAllocatePoolWithQuota", [1 | 8, 24, 0, 0, 0], PoolKind::Paged, none),
                (
                    "ExAllocatePoolWithQuotaTag",
                    [NX | 8, 24, TAG, 0, 0],
                    PoolKind::NonPagedNx,
                    TAG,
                ),
                (
                    "ExAllocatePoolWithTagPriority",
                    [5, 24, TAG, 16, 0],
                    PoolKind::Paged,
                    TAG,
                ),
                (
                    "ExAllocatePool2",
                    [POOL_FLAG_NON_PAGED, 24, TAG, 0, 0],
                    PoolKind::NonPagedNx,
                    TAG,
                ),
                (
                    "ExAllocatePool3",
                    [POOL_FLAG_PAGED, 24, TAG, 0, 0],
                    PoolKind::Paged,
                    TAG,
                ),
            ] {
                let block = export(&k, name, &arguments).await?;
                let found = k.driver_allocations();
                assert_eq!(found.len(), 1, "{name}");
                assert_eq!(
                    (found[0].start.get(), found[0].size, found[0].kind),
                    (block, 24, kind),
                    "{name}"
                );
                assert_eq!(u64::from(found[0].tag), tag, "{name}");
                let (free, tag) = if name.ends_with('3') {
                    ("ExFreePool2", tag)
                } else {
                    ("ExFreePool", 0)
                };
                export(&k, free, &[block, tag, 0, 0]).await?;
            }
            Ok(())
        });
    }

    #[test]
    fn only_the_newest_routines_give_zeroed_pool() {
        run(&idle(), 1, |k| async move {
            let stale = k.config().stale_byte;
            for (name, first, zeroed) in [
                ("ExAllocatePoolWithTag", NX, false),
                ("ExAllocatePool3", POOL_FLAG_NON_PAGED, true),
                ("ExAllocatePool3", POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, false),
            ] {
                let block = export(&k, name, &[first, 16, TAG, 0, 0]).await?;
                assert_eq!(k.read::<u8>(Va(block))?, if zeroed { 0 } else { stale }, "{name}");
                export(&k, "ExFreePoolWithTag", &[block, TAG]).await?;
            }
            Ok(())
        });
    }

    #[test]
    fn a_parameter_that_is_not_understood_fails_the_allocation_unless_it_is_optional() {
        run(&idle(), 1, |k| async move {
            let parameters = memory(&k, 32)?;
            for (header, given) in [(1_u64, true), (0x1FF, true), (0xFF, false)] {
                k.write(parameters, header)?;
                let arguments = [POOL_FLAG_PAGED, 8, TAG, parameters.get(), 1];
                let block = export(&k, "ExAllocatePool3", &arguments).await?;
                assert_eq!(block != 0, given, "{header:#x}");
                if given {
                    export(&k, "ExFreePool2", &[block, TAG, 0, 0]).await?;
                }
            }
            Ok(())
        });
    }

    fn at_dispatch(name: &'static str, pool_type: u64, tag: u64) -> BugCheck {
        crash(move |k| async move {
            export(&k, "KfRaiseIrql", &[2]).await?;
            export(&k, name, &[pool_type, 8, tag, 0]).await.map(|_| ())
        })
    }

    #[test]
    fn misuse_has_driver_verifiers_codes() {
        assert_eq!(at_dispatch("ExAllocatePool", 1, 0).parameters[0], 0x01);
        assert_eq!(
            at_dispatch("ExAllocatePoolWithQuotaTag", 1, TAG).parameters[0],
            0x2_0006
        );
        let untagged = at_dispatch("ExAllocatePoolWithTagPriority", NX, 0);
        assert_eq!((untagged.code.0, untagged.parameters[0]), (0xC2, 0x9B));
    }
}
