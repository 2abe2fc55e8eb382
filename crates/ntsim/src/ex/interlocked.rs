//! Lists and numbers that a spin lock guards inside of the routine: `ExInterlockedInsertHeadList`, `ExInterlockedInsertTailList`,
//! `ExInterlockedRemoveHeadList`, `ExInterlockedPushEntryList`, `ExInterlockedPopEntryList`, `ExInterlockedAddLargeInteger`,
//! `ExInterlockedAddUlong`.
//!
//! They work at any IRQL: interrupts are off while the lock is held.

use ntlayout::list_entry;

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::{Irql, irql, spin_lock},
    kernel::Kernel,
    mm::Va,
};

/// Does `work` with the lock held and interrupts off.
async fn locked<T>(k: &Kernel, lock: Va, work: impl FnOnce(&Kernel) -> Outcome<T>) -> Outcome<T> {
    let old = k.raise_irql(Irql::HIGH);
    spin_lock::acquire_raised(k, lock).await?;
    let result = work(k)?;
    spin_lock::release_raised(k, lock)?;
    irql::lower(k, old)?;
    Ok(result)
}

/// The entry, unless the list is empty: then it is the head.
fn unless_head(entry: Va, head: Va) -> Va {
    if entry == head { Va::NULL } else { entry }
}

/// Links `entry` in between `before` and `after`.
fn link(k: &Kernel, before: Va, entry: Va, after: Va) -> Outcome<()> {
    k.write(entry + list_entry::FLINK, after)?;
    k.write(entry + list_entry::BLINK, before)?;
    k.write(after + list_entry::BLINK, entry)?;
    k.write(before + list_entry::FLINK, entry)
}

fn insert_head(k: &Kernel, head: Va, entry: Va) -> Outcome<Va> {
    let first: Va = k.read(head + list_entry::FLINK)?;
    link(k, head, entry, first)?;
    Ok(unless_head(first, head))
}

fn insert_tail(k: &Kernel, head: Va, entry: Va) -> Outcome<Va> {
    let last: Va = k.read(head + list_entry::BLINK)?;
    link(k, last, entry, head)?;
    Ok(unless_head(last, head))
}

fn remove_head(k: &Kernel, head: Va) -> Outcome<Va> {
    let first: Va = k.read(head + list_entry::FLINK)?;
    if first == head {
        return Ok(Va::NULL);
    }
    let second: Va = k.read(first + list_entry::FLINK)?;
    k.write(head + list_entry::FLINK, second)?;
    k.write(second + list_entry::BLINK, head)?;
    Ok(first)
}

/// `SINGLE_LIST_ENTRY::Next` is all that there is.
fn push(k: &Kernel, head: Va, entry: Va) -> Outcome<Va> {
    let first: Va = k.read(head)?;
    k.write(entry, first)?;
    k.write(head, entry)?;
    Ok(first)
}

fn pop(k: &Kernel, head: Va) -> Outcome<Va> {
    let first: Va = k.read(head)?;
    if !first.is_null() {
        let second: Va = k.read(first)?;
        k.write(head, second)?;
    }
    Ok(first)
}

/// What a routine does to a list with an entry.
type Insert = fn(&Kernel, Va, Va) -> Outcome<Va>;
/// What a routine takes from a list.
type Remove = fn(&Kernel, Va) -> Outcome<Va>;

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let inserts: [(&'static str, Insert); 3] = [
        ("ExInterlockedInsertHeadList", insert_head),
        ("ExInterlockedInsertTailList", insert_tail),
        ("ExInterlockedPushEntryList", push),
    ];
    for (name, insert) in inserts {
        ddi.flow(name, 3, Contract::ANY, move |k, a| async move {
            locked(&k, a.va(2), |k| insert(k, a.va(0), a.va(1))).await
        });
    }
    let removes: [(&'static str, Remove); 2] = [
        ("ExInterlockedRemoveHeadList", remove_head),
        ("ExInterlockedPopEntryList", pop),
    ];
    for (name, remove) in removes {
        ddi.flow(name, 2, Contract::ANY, move |k, a| async move {
            locked(&k, a.va(1), |k| remove(k, a.va(0))).await
        });
    }
    ddi.flow("ExInterlockedAddLargeInteger", 3, Contract::ANY, |k, a| async move {
        locked(&k, a.va(2), |k| {
            let before: u64 = k.read(a.va(0))?;
            k.write(a.va(0), before.wrapping_add(a.u64(1)))?;
            Ok(before)
        })
        .await
    });
    ddi.flow("ExInterlockedAddUlong", 3, Contract::ANY, |k, a: Args| async move {
        locked(&k, a.va(2), |k| {
            let before: u32 = k.read(a.va(0))?;
            k.write(a.va(0), before.wrapping_add(a.u32(1)))?;
            Ok(before)
        })
        .await
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::testing::script::{export, idle, memory, run};

    #[test]
    fn doubly_linked_lists_keep_their_order() {
        run(&idle(), 1, |k| async move {
            let (head, lock, a, b, c) = (
                memory(&k, 16)?,
                memory(&k, 8)?,
                memory(&k, 16)?,
                memory(&k, 16)?,
                memory(&k, 16)?,
            );
            k.write(lock, 0_u64)?;
            k.write(head, head)?;
            k.write(head + 8_u64, head)?;
            let insert = async |name, entry: Va| export(&k, name, &[head.get(), entry.get(), lock.get()]).await;
            assert_eq!(insert("ExInterlockedInsertTailList", a).await?, 0, "it was empty");
            assert_eq!(
                insert("ExInterlockedInsertTailList", b).await?,
                a.get(),
                "the last one before"
            );
            assert_eq!(
                insert("ExInterlockedInsertHeadList", c).await?,
                a.get(),
                "the first one before"
            );
            export(&k, "KfRaiseIrql", &[5]).await?;
            for entry in [c, a, b, Va::NULL] {
                let removed = export(&k, "ExInterlockedRemoveHeadList", &[head.get(), lock.get()]).await?;
                assert_eq!(Va(removed), entry);
                assert_eq!(k.irql(), Irql(5));
            }
            assert_eq!(k.read::<Va>(head + 8_u64)?, head);
            export(&k, "KeLowerIrql", &[0]).await.map(|_| ())
        });
    }

    #[test]
    fn singly_linked_lists_are_stacks() {
        run(&idle(), 1, |k| async move {
            let (head, lock, a, b) = (memory(&k, 8)?, memory(&k, 8)?, memory(&k, 8)?, memory(&k, 8)?);
            k.write(lock, 0_u64)?;
            k.write(head, 0_u64)?;
            let push = async |entry: Va| {
                export(&k, "ExInterlockedPushEntryList", &[head.get(), entry.get(), lock.get()]).await
            };
            assert_eq!(push(a).await?, 0);
            assert_eq!(push(b).await?, a.get());
            for entry in [b, a, Va::NULL] {
                let popped = export(&k, "ExInterlockedPopEntryList", &[head.get(), lock.get()]).await?;
                assert_eq!(Va(popped), entry);
            }
            Ok(())
        });
    }

    #[test]
    fn sums_return_what_was_there_before() {
        run(&idle(), 1, |k| async move {
            let (number, lock) = (memory(&k, 8)?, memory(&k, 8)?);
            k.write(lock, 0_u64)?;
            k.write(number, u64::from(u32::MAX))?;
            let before = export(&k, "ExInterlockedAddLargeInteger", &[number.get(), 1, lock.get()]).await?;
            assert_eq!((before, k.read::<u64>(number)?), (u64::from(u32::MAX), 1 << 32));
            let before = export(&k, "ExInterlockedAddUlong", &[number.get(), 7, lock.get()]).await?;
            assert_eq!((before, k.read::<u64>(number)?), (0, 1 << 32 | 7));
            Ok(())
        });
    }
}
