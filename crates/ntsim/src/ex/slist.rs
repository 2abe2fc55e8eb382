//! Sequenced singly linked lists: `InitializeSListHead`, `ExpInterlockedPushEntrySList`, `ExpInterlockedPopEntrySList`,
//! `ExpInterlockedFlushSList`, `ExQueryDepthSList`. The headers' `ExInterlocked…` names are these on x64.

use ntlayout::slist_header as layout;

use super::raise;
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
    verifier::SyncObject,
};

/// The low bits of `NextEntry`'s word: `Reserved`.
const RESERVED: u64 = 0xF;
const DEPTH: u64 = 0xFFFF;

/// What a pushing processor did is visible to who pops.
fn order(head: Va) -> SyncObject {
    SyncObject::Dispatcher(head.get())
}

fn first(k: &Kernel, head: Va) -> Outcome<Va> {
    let next: u64 = k.read(head + layout::NEXT_ENTRY)?;
    Ok(Va(next & !RESERVED))
}

fn set_first(k: &Kernel, head: Va, entry: Va) -> Outcome<()> {
    let next: u64 = k.read(head + layout::NEXT_ENTRY)?;
    k.write(head + layout::NEXT_ENTRY, entry.get() & !RESERVED | next & RESERVED)
}

/// Changes the depth, and the sequence number, which every change does.
fn count(k: &Kernel, head: Va, depth: impl FnOnce(u16) -> u16) -> Outcome<()> {
    let word: u64 = k.read(head + layout::DEPTH_AND_SEQUENCE)?;
    let sequence = (word >> 16).wrapping_add(1);
    let depth = depth((word & DEPTH) as u16);
    k.write(head + layout::DEPTH_AND_SEQUENCE, sequence << 16 | u64::from(depth))
}

/// `InitializeSListHead`.
///
/// # Errors
/// When the head is not aligned on 16 bytes: an exception.
pub(super) fn initialize(k: &Kernel, head: Va) -> Outcome<()> {
    if head.get() & RESERVED != 0 {
        let message = format!("the SLIST_HEADER at {head} is not aligned on 16 bytes");
        return Err(raise::status(k, NtStatus::DATATYPE_MISALIGNMENT, &message));
    }
    k.fill(head, 0, layout::SIZE)
}

fn push(k: &Kernel, head: Va, entry: Va) -> Outcome<Va> {
    let before = first(k, head)?;
    k.write(entry, before)?;
    set_first(k, head, entry)?;
    count(k, head, |depth| depth.wrapping_add(1))?;
    k.sync_release(order(head));
    Ok(before)
}

/// `ExpInterlockedPopEntrySList`.
///
/// # Errors
/// When the list's memory cannot be accessed.
pub(super) fn pop(k: &Kernel, head: Va) -> Outcome<Va> {
    let entry = first(k, head)?;
    if !entry.is_null() {
        let next: Va = k.read(entry)?;
        set_first(k, head, next)?;
        count(k, head, |depth| depth.wrapping_sub(1))?;
        k.sync_acquire(order(head));
    }
    Ok(entry)
}

fn flush(k: &Kernel, head: Va) -> Outcome<Va> {
    let entry = first(k, head)?;
    if !entry.is_null() {
        set_first(k, head, Va::NULL)?;
        count(k, head, |_| 0)?;
        k.sync_acquire(order(head));
    }
    Ok(entry)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("InitializeSListHead", 1, any, |k, a| initialize(k, a.va(0)));
    for name in ["ExpInterlockedPushEntrySList", "ExInterlockedPushEntrySList"] {
        ddi.function(name, 2, any, |k, a| push(k, a.va(0), a.va(1)));
    }
    for name in ["ExpInterlockedPopEntrySList", "ExInterlockedPopEntrySList"] {
        ddi.function(name, 1, any, |k, a| pop(k, a.va(0)));
    }
    for name in ["ExpInterlockedFlushSList", "ExInterlockedFlushSList"] {
        ddi.function(name, 1, any, |k, a| flush(k, a.va(0)));
    }
    ddi.function("ExQueryDepthSList", 1, any, |k, a| {
        k.read::<u64>(a.va(0) + layout::DEPTH_AND_SEQUENCE)
            .map(|word| word & DEPTH)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::testing::script::{crash, export, idle, memory, run};

    #[test]
    fn a_list_is_a_stack_that_counts() {
        run(&idle(), 1, |k| async move {
            let (head, a, b) = (memory(&k, layout::SIZE)?, memory(&k, 16)?, memory(&k, 16)?);
            export(&k, "InitializeSListHead", &[head.get()]).await?;
            let push = async |entry: Va| export(&k, "ExpInterlockedPushEntrySList", &[head.get(), entry.get()]).await;
            let depth = async || export(&k, "ExQueryDepthSList", &[head.get()]).await;
            let pop = async || export(&k, "ExpInterlockedPopEntrySList", &[head.get()]).await.map(Va);
            assert_eq!(push(a).await?, 0);
            assert_eq!(push(b).await?, a.get());
            assert_eq!(depth().await?, 2);
            assert_eq!(pop().await?, b);
            assert_eq!(pop().await?, a);
            assert_eq!(pop().await?, Va::NULL);
            assert_eq!(depth().await?, 0);
            push(a).await?;
            push(b).await?;
            assert_eq!(export(&k, "ExpInterlockedFlushSList", &[head.get()]).await?, b.get());
            assert_eq!(k.read::<Va>(b)?, a, "the entries stay linked");
            assert_eq!((depth().await?, pop().await?), (0, Va::NULL));
            assert_ne!(k.read::<u64>(head)? >> 16, 0, "changes are numbered");
            Ok(())
        });
    }

    #[test]
    fn a_head_that_is_not_aligned_raises_an_exception() {
        let bugcheck = crash(|k| async move {
            let head = memory(&k, 32)?;
            export(&k, "InitializeSListHead", &[head.get() + 8]).await.map(|_| ())
        });
        assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0x1E, 0x8000_0002));
    }
}
