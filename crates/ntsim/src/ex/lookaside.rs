//! Lookaside lists: `ExInitializeNPagedLookasideList`, `ExInitializePagedLookasideList`, `ExInitializeLookasideListEx`, the routines that
//! delete them, and `ExFlushLookasideListEx`.
//!
//! Entries are taken and given back inline, in the driver: the list has the kernel's layout and the addresses of the allocating and
//! freeing routines. As under Driver Verifier the depth is 0, so that each entry is a pool allocation of its own, tracked to the byte.

use std::collections::BTreeMap;

use ntlayout::general_lookaside as layout;

use super::{pool, slist};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// The lists that are initialized, and whether each is a `LOOKASIDE_LIST_EX`.
#[derive(Debug, Default)]
struct Lists(BTreeMap<Va, bool>);

const INITIALIZED_AGAIN: u64 = 0xCA;
const DELETED_UNINITIALIZED: u64 = 0xCB;
const FREED: u64 = 0xCC;
const TOO_SMALL: u64 = 0xCD;

/// The smallest entry: the list links free entries by their first bytes.
const SMALLEST: u64 = 8;
/// What `MaximumDepth` starts with; the system adapts `Depth` below it.
const MAXIMUM_DEPTH: u16 = 256;

const PAGED_POOL: u32 = 1;
/// The flags that may be combined with a pool type here.
const POOL_NX_ALLOCATION: u32 = 512;
const POOL_QUOTA_FAIL_INSTEAD_OF_RAISE: u32 = 8;
const POOL_RAISE_IF_ALLOCATION_FAILURE: u32 = 16;

const RAISE_ON_FAIL: u32 = 1;
const FAIL_NO_RAISE: u32 = 2;

/// What a list is made with.
#[derive(Clone, Copy, Debug)]
struct Parameters {
    list: Va,
    extended: bool,
    allocate: Va,
    free: Va,
    pool_type: u32,
    size: u64,
    tag: u32,
}

fn initialize(k: &Kernel, new: Parameters) -> Outcome<()> {
    let list = new.list;
    if k.state::<Lists>().borrow().0.contains_key(&list) {
        let message = format!("the lookaside list at {list} is initialized again, but was not deleted");
        return Err(misuse(k, [INITIALIZED_AGAIN, list.get(), 0, 0], message));
    }
    if new.size < SMALLEST {
        let message = format!(
            "the lookaside list at {list} is initialized for entries of {} bytes: the least is {SMALLEST}",
            new.size
        );
        return Err(misuse(k, [TOO_SMALL, list.get(), new.size, SMALLEST], message));
    }
    let default = |given: Va, name: &str| {
        if given.is_null() {
            k.routine_address(name)
        } else {
            given
        }
    };
    let [allocate, free] = if new.extended {
        ["ExpAllocateLookasideEntry", "ExpFreeLookasideEntry"]
    } else {
        ["ExAllocatePoolWithTag", "ExFreePool"]
    };
    let size = if new.extended { layout::POOL_SIZE } else { layout::SIZE };
    k.fill(list, 0, size)?;
    slist::initialize(k, list + layout::LIST_HEAD)?;
    k.write(list + layout::MAXIMUM_DEPTH, MAXIMUM_DEPTH)?;
    k.write(list + layout::TYPE, new.pool_type)?;
    k.write(list + layout::TAG, new.tag)?;
    k.write(list + layout::ENTRY_SIZE, u32::try_from(new.size).unwrap_or(u32::MAX))?;
    k.write(list + layout::ALLOCATE, default(new.allocate, allocate))?;
    k.write(list + layout::FREE, default(new.free, free))?;
    let link = list + layout::LIST_ENTRY;
    k.write(link, link)?;
    k.write(link + 8_u64, link)?;
    // The inline routines count without a lock, on purpose: a count that is lost does no harm.
    let counters = (layout::FREE_MISSES + 4 - layout::TOTAL_ALLOCATES) as u64;
    k.share_unlocked(list + layout::TOTAL_ALLOCATES, counters);
    k.state::<Lists>().borrow_mut().0.insert(list, new.extended);
    Ok(())
}

/// Gives back every entry that is in the list.
async fn flush(k: &Kernel, list: Va, extended: bool) -> Outcome<()> {
    let free: Va = k.read(list + layout::FREE)?;
    loop {
        let entry = slist::pop(k, list + layout::LIST_HEAD)?;
        if entry.is_null() {
            return Ok(());
        }
        let arguments = [entry.get(), list.get()];
        let arguments = if extended { &arguments[..] } else { &arguments[..1] };
        k.call(free, arguments).label("lookaside list Free").await?;
    }
}

async fn delete(k: &Kernel, list: Va) -> Outcome<()> {
    k.read::<u64>(list)?;
    let known = k.state::<Lists>().borrow_mut().0.remove(&list);
    let Some(extended) = known else {
        let message = format!("{list} is deleted as a lookaside list, but none is initialized there");
        return Err(misuse(k, [DELETED_UNINITIALIZED, list.get(), 0, 0], message));
    };
    flush(k, list, extended).await
}

/// Memory that is being freed must hold no lookaside list that was not deleted.
///
/// # Errors
/// When it does.
pub(super) fn memory_freed(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    let inside = {
        let lists = k.state::<Lists>();
        let lists = lists.borrow();
        lists.0.keys().copied().find(|&list| list - start < length)
    };
    let Some(list) = inside else {
        return Ok(());
    };
    let message = format!("memory at {start} is freed, but the lookaside list at {list} in it was not deleted");
    Err(misuse(k, [FREED, list.get(), start.get(), length], message))
}

fn misuse(k: &Kernel, parameters: [u64; 4], message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        parameters,
        "lookaside-misused",
        message,
    ))
}

/// `ExInitializeLookasideListEx`, once its arguments are known to be good; a status when they are not.
fn initialize_extended(k: &Kernel, mut new: Parameters, flags: u32) -> Outcome<NtStatus> {
    const KNOWN_TYPES: u32 = PAGED_POOL | 4 | POOL_NX_ALLOCATION;
    if new.pool_type & !KNOWN_TYPES != 0 {
        return Ok(NtStatus::INVALID_PARAMETER_4);
    }
    new.pool_type |= match flags {
        0 => 0,
        RAISE_ON_FAIL => POOL_RAISE_IF_ALLOCATION_FAILURE,
        FAIL_NO_RAISE => POOL_QUOTA_FAIL_INSTEAD_OF_RAISE,
        _ => return Ok(NtStatus::INVALID_PARAMETER_5),
    };
    initialize(k, new)?;
    Ok(NtStatus::SUCCESS)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let dispatch = Contract::at_most(Irql::DISPATCH);
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_EX_APC_LTE);
    for (name, contract, base) in [
        ("ExInitializeNPagedLookasideList", dispatch, 0),
        ("ExInitializePagedLookasideList", apc, PAGED_POOL),
    ] {
        ddi.function(name, 7, contract, move |k, a| {
            let flags = a.u32(3) & (POOL_NX_ALLOCATION | POOL_RAISE_IF_ALLOCATION_FAILURE);
            let new = Parameters {
                list: a.va(0),
                extended: false,
                allocate: a.va(1),
                free: a.va(2),
                pool_type: base | flags,
                size: a.u64(4),
                tag: a.u32(5),
            };
            initialize(k, new)
        });
    }
    ddi.function("ExInitializeLookasideListEx", 8, dispatch, |k, a| {
        let new = Parameters {
            list: a.va(0),
            extended: true,
            allocate: a.va(1),
            free: a.va(2),
            pool_type: a.u32(3),
            size: a.u64(5),
            tag: a.u32(6),
        };
        initialize_extended(k, new, a.u32(4))
    });
    for (name, contract) in [
        ("ExDeleteNPagedLookasideList", dispatch),
        ("ExDeletePagedLookasideList", apc),
        ("ExDeleteLookasideListEx", dispatch),
    ] {
        ddi.flow(name, 1, contract, |k, a| async move { delete(&k, a.va(0)).await });
    }
    ddi.flow("ExFlushLookasideListEx", 1, dispatch, |k, a| async move {
        flush(&k, a.va(0), true).await
    });
    // What a LOOKASIDE_LIST_EX without routines of the driver's own has: no exports of the kernel.
    ddi.function("ExpAllocateLookasideEntry", 4, Contract::ANY, |k, a| {
        pool::legacy::allocate(k, a.u32(0), a.u64(1), a.u32(2))
    });
    ddi.function("ExpFreeLookasideEntry", 2, Contract::ANY, |k, a| {
        pool::free(k, a.va(0), None)
    });
}

#[cfg(test)]
mod tests;
