//! Remove locks: `IoInitializeRemoveLockEx`, `IoAcquireRemoveLockEx`, `IoReleaseRemoveLockEx`, `IoReleaseRemoveLockAndWaitEx`.
//!
//! The lock's common block is kept in guest memory as the header declares it. The tags, which only checked builds of a driver
//! give memory to, are kept on the host's side for every lock.

use std::collections::BTreeMap;

use ntlayout::io_remove_lock_common_block as layout;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Args, Contract, Registry},
    ke::{
        self, Irql,
        event::{self, EventType},
        wait::Timeout,
    },
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
    verifier::SyncObject,
};

/// Driver Verifier's code for a tag that `IoReleaseRemoveLock` was given and `IoAcquireRemoveLock` was not.
const RELEASE_TAG_MISMATCH: u64 = 0xD5;
/// The same for `IoReleaseRemoveLockAndWait`.
const RELEASE_AND_WAIT_TAG_MISMATCH: u64 = 0xD6;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function(
        "IoInitializeRemoveLockEx",
        5,
        Contract::exactly(Irql::PASSIVE),
        initialize,
    );
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoAcquireRemoveLockEx", 5, contract, |k, a| {
        acquire(k, a.va(0), a.u64(1))
    });
    ddi.function("IoReleaseRemoveLockEx", 3, contract, |k, a| {
        release(k, a.va(0), a.u64(1))
    });
    ddi.flow(
        "IoReleaseRemoveLockAndWaitEx",
        3,
        Contract::exactly(Irql::PASSIVE),
        |k, a| async move { release_and_wait(&k, a.va(0), a.u64(1)).await },
    );
}

/// Who holds which remove lock: how often, by tag.
pub(crate) type RemoveLocks = BTreeMap<Va, BTreeMap<u64, u32>>;

fn initialize(k: &Kernel, a: &Args) -> Outcome<()> {
    let lock = a.va(0);
    k.write(lock + layout::REMOVED, 0_u8)?;
    k.write(lock + layout::IO_COUNT, 1_i32)?;
    event::initialize(k, lock + layout::REMOVE_EVENT, EventType::Synchronization, false)?;
    k.io().borrow_mut().remove_locks.insert(lock, BTreeMap::new());
    Ok(())
}

fn acquire(k: &Kernel, lock: Va, tag: u64) -> Outcome<NtStatus> {
    check_initialized(k, lock, tag)?;
    let removed: u8 = k.read(lock + layout::REMOVED)?;
    if removed != 0 {
        return Ok(NtStatus::DELETE_PENDING);
    }
    let count: i32 = k.read(lock + layout::IO_COUNT)?;
    k.write(lock + layout::IO_COUNT, count.wrapping_add(1))?;
    if let Some(tags) = k.io().borrow_mut().remove_locks.get_mut(&lock) {
        *tags.entry(tag).or_default() += 1;
    }
    k.note_used(lock);
    // Nothing is ordered by acquiring: a remove lock keeps the device, it does not exclude.
    Ok(NtStatus::SUCCESS)
}

fn release(k: &Kernel, lock: Va, tag: u64) -> Outcome<()> {
    drop_tag(k, lock, tag, RELEASE_TAG_MISMATCH)?;
    k.sync_release(SyncObject::RemoveLock(lock.get()));
    let count: i32 = k.read(lock + layout::IO_COUNT)?;
    k.write(lock + layout::IO_COUNT, count.wrapping_sub(1))?;
    if count == 1 {
        event::set(k, lock + layout::REMOVE_EVENT)?;
    }
    Ok(())
}

async fn release_and_wait(k: &Kernel, lock: Va, tag: u64) -> Outcome<()> {
    drop_tag(k, lock, tag, RELEASE_AND_WAIT_TAG_MISMATCH)?;
    k.write(lock + layout::REMOVED, 1_u8)?;
    let count: i32 = k.read(lock + layout::IO_COUNT)?;
    // The caller's own reference, and the one that the lock was made with.
    k.write(lock + layout::IO_COUNT, count.wrapping_sub(2))?;
    if count > 2 {
        ke::wait::for_single_object(k, lock + layout::REMOVE_EVENT, Timeout::Never).await?;
    }
    k.sync_acquire(SyncObject::RemoveLock(lock.get()));
    k.io().borrow_mut().remove_locks.remove(&lock);
    Ok(())
}

fn check_initialized(k: &Kernel, lock: Va, tag: u64) -> Outcome<()> {
    // A lock whose last user has gone is still there to refuse newcomers.
    let known = k.io().borrow().remove_locks.contains_key(&lock);
    let removed: u8 = k.read(lock + layout::REMOVED)?;
    if known || removed != 0 {
        return Ok(());
    }
    let message = format!("the remove lock at {lock} is acquired, but not initialized");
    Err(misused(k, [RELEASE_TAG_MISMATCH, lock.get(), tag, 0], message))
}

fn drop_tag(k: &Kernel, lock: Va, tag: u64, subcode: u64) -> Outcome<()> {
    let held = {
        let mut io = k.io().borrow_mut();
        let count = io.remove_locks.get_mut(&lock).and_then(|tags| tags.get_mut(&tag));
        match count {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    };
    if held {
        return Ok(());
    }
    let message = format!("the remove lock at {lock} is released with the tag {tag:#x}, with which it is not held");
    Err(misused(k, [subcode, lock.get(), tag, 0], message))
}

fn misused(k: &Kernel, parameters: [u64; 4], message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        parameters,
        "remove-lock-misused",
        message,
    ))
}

/// How often each remove lock is held, for those that are: what a device waits for that does not go.
pub(crate) fn held(k: &Kernel) -> Vec<(Va, u32)> {
    let io = k.io().borrow();
    let totals = io.remove_locks.iter().map(|(&lock, tags)| (lock, tags.values().sum()));
    totals.filter(|&(_, count)| count > 0).collect()
}
