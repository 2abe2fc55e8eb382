//! The routines as drivers import them.

use ntlayout::eresource as layout;

use super::{Mode, acquire, convert, current, delete, initialize, misuse, release_for, released, set_owner, with};
use crate::{
    bugcheck::VerifierRule,
    ddi::{Contract, Registry},
    ke::{Irql, region},
    status::NtStatus,
};

/// Adds this component's exports.
pub(in crate::ex) fn register(ddi: &mut Registry) {
    life(ddi);
    acquisition(ddi);
    releases(ddi);
    queries(ddi);
}

fn life(ddi: &mut Registry) {
    let dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("ExInitializeResourceLite", 1, dispatch, |k, a| {
        initialize(k, a.va(0))?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("ExReinitializeResourceLite", 1, dispatch, |k, a| {
        delete(k, a.va(0))?;
        initialize(k, a.va(0))?;
        Ok(NtStatus::SUCCESS)
    });
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_EX_APC_LTE_3);
    ddi.function("ExDeleteResourceLite", 1, apc, |k, a| {
        delete(k, a.va(0))?;
        Ok(NtStatus::SUCCESS)
    });
    // Boosts of priorities are none here.
    ddi.function("ExDisableResourceBoostLite", 1, dispatch, |k, a| {
        with(k, a.va(0), |_| ())
    });
}

fn acquisition(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_EX_APC_LTE_3);
    for (name, mode) in [
        ("ExAcquireResourceExclusiveLite", Mode::Exclusive),
        ("ExAcquireResourceSharedLite", Mode::Shared),
        ("ExAcquireSharedStarveExclusive", Mode::StarveExclusive),
        ("ExAcquireSharedWaitForExclusive", Mode::WaitForExclusive),
    ] {
        ddi.flow(name, 2, apc, move |k, a| async move {
            misuse::check_apcs(&k, name, a.va(0))?;
            acquire(&k, a.va(0), mode, a.bool(1)).await
        });
    }
    for (name, mode) in [
        ("ExEnterCriticalRegionAndAcquireResourceExclusive", Mode::Exclusive),
        ("ExEnterCriticalRegionAndAcquireResourceShared", Mode::Shared),
        (
            "ExEnterCriticalRegionAndAcquireSharedWaitForExclusive",
            Mode::WaitForExclusive,
        ),
    ] {
        ddi.flow(name, 1, Contract::at_most(Irql::APC), move |k, a| async move {
            region::enter_critical(&k);
            acquire(&k, a.va(0), mode, true).await?;
            // What KeGetCurrentThread()->Win32Thread points to: system threads have none.
            Ok(0_u64)
        });
    }
}

fn releases(ddi: &mut Registry) {
    let dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("ExReleaseResourceLite", 1, dispatch, |k, a| {
        misuse::check_apcs(k, "ExReleaseResourceLite", a.va(0))?;
        release_for(k, a.va(0), current(k))
    });
    ddi.function("ExReleaseResourceForThreadLite", 2, dispatch, |k, a| {
        misuse::check_apcs(k, "ExReleaseResourceForThreadLite", a.va(0))?;
        release_for(k, a.va(0), a.u64(1))
    });
    ddi.function("ExReleaseResourceAndLeaveCriticalRegion", 1, dispatch, |k, a| {
        release_for(k, a.va(0), current(k))?;
        region::leave_critical(k)
    });
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_EX_APC_LTE_3);
    ddi.function("ExConvertExclusiveToSharedLite", 1, apc, |k, a| convert(k, a.va(0)));
    ddi.function("ExSetResourceOwnerPointer", 2, dispatch, |k, a| {
        set_owner(k, a.va(0), a.u64(1))?;
        released(k, a.va(0))
    });
}

fn queries(ddi: &mut Registry) {
    let dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("ExIsResourceAcquiredExclusiveLite", 1, dispatch, |k, a| {
        let owner = current(k);
        with(k, a.va(0), |known| {
            known.exclusive.is_some_and(|(holder, _)| holder == owner)
        })
    });
    ddi.function("ExIsResourceAcquiredSharedLite", 1, dispatch, |k, a| {
        let owner = current(k);
        with(k, a.va(0), |known| known.held_by(owner))
    });
    ddi.function("ExGetExclusiveWaiterCount", 1, dispatch, |k, a| {
        k.read::<u32>(a.va(0) + layout::NUMBER_OF_EXCLUSIVE_WAITERS)
    });
    ddi.function("ExGetSharedWaiterCount", 1, dispatch, |k, a| {
        k.read::<u32>(a.va(0) + layout::NUMBER_OF_SHARED_WAITERS)
    });
}
