//! Device queues: `KeInitializeDeviceQueue`, `KeInsertDeviceQueue`, `KeInsertByKeyDeviceQueue`, `KeRemoveDeviceQueue`,
//! `KeRemoveByKeyDeviceQueue`, `KeRemoveByKeyDeviceQueueIfBusy`, `KeRemoveEntryDeviceQueue`.
//!
//! A `KDEVICE_QUEUE` knows whether its device is busy. An entry that finds it idle is not queued: it makes the queue busy, and
//! the caller begins to process it. The queue goes idle again when an entry is asked for and there is none. Each routine holds
//! the queue's own spin lock, so that whoever takes an entry out sees what was written before it was put in.

use std::collections::BTreeMap;

use ntlayout::{kdevice_queue as layout, kdevice_queue_entry as entry_layout, list_entry};

use super::{Irql, spin_lock};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// `DeviceQueueObject` of `KOBJECTS`.
const DEVICE_QUEUE_OBJECT: u16 = 20;

/// What the object says its size is, in bytes.
#[expect(clippy::cast_possible_truncation, reason = "a KDEVICE_QUEUE has 40 bytes")]
const SIZE: u16 = layout::SIZE as u16;

/// Which entries are in which queue. Guest memory says the same, but an entry's memory can be overwritten while it is queued.
#[derive(Debug, Default)]
pub struct DeviceQueues {
    queued: BTreeMap<Va, Va>,
}

/// `KeInitializeDeviceQueue`: empty and not busy.
///
/// # Errors
/// When the object's memory cannot be written.
pub fn initialize(k: &Kernel, queue: Va) -> Outcome<()> {
    let head = queue + layout::DEVICE_LIST_HEAD;
    k.write(queue + layout::TYPE, DEVICE_QUEUE_OBJECT)?;
    k.write(queue + layout::SIZE_FIELD, SIZE)?;
    k.write(head + list_entry::FLINK, head)?;
    k.write(head + list_entry::BLINK, head)?;
    spin_lock::initialize(k, queue + layout::LOCK)?;
    k.write(queue + layout::BUSY, 0_u8)
}

/// `KeInsertDeviceQueue`, and `KeInsertByKeyDeviceQueue` when there is a key: says whether the entry was queued. When not, the
/// queue was idle, is busy now, and the entry is the caller's to process.
///
/// With a key the entry goes behind all whose key is not greater; without one, to the end.
///
/// # Errors
/// When the entry is queued already, or memory cannot be accessed.
pub async fn insert(k: &Kernel, queue: Va, entry: Va, key: Option<u32>) -> Outcome<bool> {
    let irql = lock(k, queue).await?;
    let busy = is_busy(k, queue)?;
    if busy {
        if let Some(other) = k.ke().borrow().device_queues.queued.get(&entry).copied() {
            let message =
                format!("the entry at {entry} is inserted into the device queue {queue}, but it is in {other}");
            return Err(misused(k, queue, entry, message));
        }
        let before = match key {
            Some(key) => first_with_key(k, queue, |other| other > key)?,
            None => None,
        };
        if let Some(key) = key {
            k.write(entry + entry_layout::SORT_KEY, key)?;
        }
        link_before(k, before.unwrap_or(queue + layout::DEVICE_LIST_HEAD), entry)?;
        k.ke().borrow_mut().device_queues.queued.insert(entry, queue);
    } else {
        k.write(queue + layout::BUSY, 1_u8)?;
    }
    k.write(entry + entry_layout::INSERTED, u8::from(busy))?;
    unlock(k, queue, irql)?;
    Ok(busy)
}

/// `KeRemoveDeviceQueue`, and `KeRemoveByKeyDeviceQueue` when there is a key: the first entry, or the first whose key is not
/// less, if there is one. Null when the queue is empty, which makes it idle.
///
/// # Errors
/// When the queue is not busy: nobody processes an entry, so nobody may ask for the next one.
pub async fn remove(k: &Kernel, queue: Va, key: Option<u32>) -> Outcome<Va> {
    let irql = lock(k, queue).await?;
    if !is_busy(k, queue)? {
        let message = format!("the next entry of the device queue {queue} is asked for, but the queue is not busy");
        return Err(misused(k, queue, Va::NULL, message));
    }
    let entry = take(k, queue, key)?;
    unlock(k, queue, irql)?;
    Ok(entry)
}

/// `KeRemoveByKeyDeviceQueueIfBusy`: as [`remove`], but a queue that is idle stays as it is.
///
/// # Errors
/// When memory cannot be accessed.
pub async fn remove_if_busy(k: &Kernel, queue: Va, key: u32) -> Outcome<Va> {
    let irql = lock(k, queue).await?;
    let entry = if is_busy(k, queue)? {
        take(k, queue, Some(key))?
    } else {
        Va::NULL
    };
    unlock(k, queue, irql)?;
    Ok(entry)
}

/// `KeRemoveEntryDeviceQueue`: takes out one entry, if it is queued, and says whether it was. The queue stays busy.
///
/// # Errors
/// When the entry is in another queue, or memory cannot be accessed.
pub async fn remove_entry(k: &Kernel, queue: Va, entry: Va) -> Outcome<bool> {
    let irql = lock(k, queue).await?;
    let inserted: u8 = k.read(entry + entry_layout::INSERTED)?;
    if inserted != 0 {
        unlink(k, queue, entry)?;
    }
    unlock(k, queue, irql)?;
    Ok(inserted != 0)
}

/// Whether an entry of a device queue lies in a memory range, for the check of memory that is being freed: the entry and its
/// queue.
#[must_use]
pub fn queued_within(k: &Kernel, start: Va, length: u64) -> Option<(Va, Va)> {
    let ke = k.ke().borrow();
    let mut queued = ke.device_queues.queued.range(start..start + length);
    queued.next().map(|(&entry, &queue)| (entry, queue))
}

async fn lock(k: &Kernel, queue: Va) -> Outcome<Irql> {
    spin_lock::acquire(k, queue + layout::LOCK).await
}

fn unlock(k: &Kernel, queue: Va, irql: Irql) -> Outcome<()> {
    spin_lock::release(k, queue + layout::LOCK, irql)
}

fn is_busy(k: &Kernel, queue: Va) -> Outcome<bool> {
    let kind: u16 = k.read(queue + layout::TYPE)?;
    if kind != DEVICE_QUEUE_OBJECT {
        let message = format!("{queue} is no device queue: KeInitializeDeviceQueue comes first");
        return Err(misused(k, queue, Va::NULL, message));
    }
    let busy: u8 = k.read(queue + layout::BUSY)?;
    Ok(busy != 0)
}

fn take(k: &Kernel, queue: Va, key: Option<u32>) -> Outcome<Va> {
    let by_key = match key {
        Some(key) => first_with_key(k, queue, |other| other >= key)?,
        None => None,
    };
    let entry = match by_key {
        Some(entry) => Some(entry),
        None => first_with_key(k, queue, |_| true)?,
    };
    if let Some(entry) = entry {
        unlink(k, queue, entry)?;
        Ok(entry)
    } else {
        k.write(queue + layout::BUSY, 0_u8)?;
        Ok(Va::NULL)
    }
}

/// The first entry whose key fits.
fn first_with_key(k: &Kernel, queue: Va, fits: impl Fn(u32) -> bool) -> Outcome<Option<Va>> {
    let head = queue + layout::DEVICE_LIST_HEAD;
    let mut entry: Va = k.read(head + list_entry::FLINK)?;
    while entry != head {
        if fits(k.read(entry + entry_layout::SORT_KEY)?) {
            return Ok(Some(entry));
        }
        entry = k.read(entry + list_entry::FLINK)?;
    }
    Ok(None)
}

fn link_before(k: &Kernel, next: Va, entry: Va) -> Outcome<()> {
    let previous: Va = k.read(next + list_entry::BLINK)?;
    k.write(entry + list_entry::FLINK, next)?;
    k.write(entry + list_entry::BLINK, previous)?;
    k.write(previous + list_entry::FLINK, entry)?;
    k.write(next + list_entry::BLINK, entry)
}

fn unlink(k: &Kernel, queue: Va, entry: Va) -> Outcome<()> {
    let known = k.ke().borrow_mut().device_queues.queued.remove(&entry);
    if known != Some(queue) {
        let message = format!("the entry at {entry} is taken out of the device queue {queue}, but it is not in it");
        return Err(misused(k, queue, entry, message));
    }
    let next: Va = k.read(entry + list_entry::FLINK)?;
    let previous: Va = k.read(entry + list_entry::BLINK)?;
    if k.read::<Va>(next + list_entry::BLINK)? != entry || k.read::<Va>(previous + list_entry::FLINK)? != entry {
        return Err(corrupt(k, queue, entry));
    }
    k.write(previous + list_entry::FLINK, next)?;
    k.write(next + list_entry::BLINK, previous)?;
    k.write(entry + entry_layout::INSERTED, 0_u8)
}

/// What Windows' checks of doubly linked lists stop with.
fn corrupt(k: &Kernel, queue: Va, entry: Va) -> Halted {
    const LIST_ENTRY_CORRUPT: u64 = 3;
    k.bugcheck(BugCheck::new(
        Code::KERNEL_SECURITY_CHECK_FAILURE,
        [LIST_ENTRY_CORRUPT, 0, 0, 0],
        "device-queue-corrupt",
        format!("the links of the entry at {entry} in the device queue {queue} were overwritten"),
    ))
}

fn misused(k: &Kernel, queue: Va, entry: Va, message: String) -> Halted {
    k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::DEVICE_QUEUE.subcode, queue.get(), entry.get(), 0],
        "device-queue-misused",
        message,
    ))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let at_most = Contract::at_most(Irql::DISPATCH).by_rule(VerifierRule::IRQL_KE_DISPATCH_LTE);
    let exactly = Contract::exactly(Irql::DISPATCH).by_rule(VerifierRule::IRQL_DISPATCH);
    ddi.function("KeInitializeDeviceQueue", 1, at_most, |k, args| {
        initialize(k, args.va(0))
    });
    ddi.flow("KeInsertDeviceQueue", 2, exactly, |k, args| async move {
        insert(&k, args.va(0), args.va(1), None).await
    });
    ddi.flow("KeInsertByKeyDeviceQueue", 3, exactly, |k, args| async move {
        insert(&k, args.va(0), args.va(1), Some(args.u32(2))).await
    });
    ddi.flow("KeRemoveDeviceQueue", 1, exactly, |k, args| async move {
        remove(&k, args.va(0), None).await
    });
    ddi.flow("KeRemoveByKeyDeviceQueue", 2, exactly, |k, args| async move {
        remove(&k, args.va(0), Some(args.u32(1))).await
    });
    ddi.flow("KeRemoveByKeyDeviceQueueIfBusy", 2, exactly, |k, args| async move {
        remove_if_busy(&k, args.va(0), args.u32(1)).await
    });
    ddi.flow("KeRemoveEntryDeviceQueue", 2, at_most, |k, args| async move {
        remove_entry(&k, args.va(0), args.va(1)).await
    });
}

#[cfg(test)]
mod tests;
