//! Objects that the kernel touches at `DISPATCH_LEVEL` lie in memory that is never paged out.

use super::violation;
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{PoolKind, Va},
};

/// Driver Verifier's code for a synchronization object at an invalid or pageable address.
const SYNC_OBJECT: u64 = 0xE1;
/// The same for a work item in pageable memory.
const WORK_ITEM: u64 = 0x131;

/// What lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An event, mutex, semaphore, timer or lock.
    SyncObject,
    /// A work item.
    WorkItem,
}

/// Checks that the object at `object` lies in resident memory of the system's.
///
/// # Errors
/// When it does not.
pub(crate) fn check_resident(k: &Kernel, what: What, object: Va, routine: &str) -> Outcome<()> {
    let problem = if !object.is_system() {
        "is no address of the system's"
    } else if is_pageable(k, object) {
        "is pageable"
    } else {
        return Ok(());
    };
    let (code, rule, name) = match what {
        What::SyncObject => (SYNC_OBJECT, "sync-object-pageable", "object"),
        What::WorkItem => (WORK_ITEM, "work-item-pageable", "work item"),
    };
    let message = format!(
        "{routine} was given the {name} at {object}, which {problem}: the kernel touches it at DISPATCH_LEVEL, and it has to be in \
         nonpaged memory"
    );
    k.verify(violation([code, object.get(), 0, 0], rule, message))
}

fn is_pageable(k: &Kernel, va: Va) -> bool {
    let pool = k.watch().pool.borrow();
    pool.find(va).is_some_and(|block| block.kind == PoolKind::Paged)
}
