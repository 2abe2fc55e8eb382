//! References that drivers take on objects: `ObfReferenceObject`, `ObfDereferenceObject`.
//!
//! Only those are counted here; what the system itself refers to is the business of the object's owner.

use std::collections::BTreeMap;

use super::object;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::ThreadSpec,
};

/// How often drivers have referenced each object.
#[derive(Debug, Default)]
struct References {
    counts: BTreeMap<Va, u64>,
}

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("ObfReferenceObject", 1, contract, |k, a| reference(k, a.va(0)));
    ddi.function("ObfReferenceObjectWithTag", 2, contract, |k, a| reference(k, a.va(0)));
    for (name, arity) in [("ObfDereferenceObject", 1), ("ObfDereferenceObjectWithTag", 2)] {
        ddi.flow(
            name,
            arity,
            contract,
            |k, a| async move { dereference(&k, a.va(0)).await },
        );
    }
    // The object goes in a system thread, not in the caller's.
    for (name, arity) in [
        ("ObDereferenceObjectDeferDelete", 1),
        ("ObDereferenceObjectDeferDeleteWithTag", 2),
    ] {
        ddi.function(name, arity, contract, |k, a| {
            let object = a.va(0);
            if give_back(k, object)? == 0 {
                k.spawn(ThreadSpec::system("deferred deletion"), move |k| async move {
                    object::released(&k, object).await
                });
            }
            Ok(())
        });
    }
}

/// How many references drivers have on `object`.
pub(crate) fn count(k: &Kernel, object: Va) -> u64 {
    let references = k.state::<References>();
    let references = references.borrow();
    references.counts.get(&object).copied().unwrap_or(0)
}

/// Takes a reference for a driver; how many there are then.
///
/// # Errors
/// When `object` is none that the system knows.
pub(crate) fn reference(k: &Kernel, object: Va) -> Outcome<u64> {
    if object::type_of(k, object).is_none() {
        let message = format!("{object} is referenced, but is no object, or one that is gone");
        return Err(bad_reference(k, object, message));
    }
    let references = k.state::<References>();
    let mut references = references.borrow_mut();
    let count = references.counts.entry(object).or_default();
    *count += 1;
    Ok(*count)
}

/// Gives a driver's reference back; how many are left. With the last one an object may go that was kept for it.
pub(crate) async fn dereference(k: &Kernel, object: Va) -> Outcome<u64> {
    let left = give_back(k, object)?;
    if left == 0 {
        object::released(k, object).await?;
    }
    Ok(left)
}

/// Counts a reference that a driver gives back; how many are left.
fn give_back(k: &Kernel, object: Va) -> Outcome<u64> {
    let left = {
        let references = k.state::<References>();
        let mut references = references.borrow_mut();
        let left = references.counts.get(&object).and_then(|count| count.checked_sub(1));
        match left {
            Some(0) => {
                references.counts.remove(&object);
            }
            Some(left) => {
                references.counts.insert(object, left);
            }
            None => {}
        }
        left
    };
    left.ok_or_else(|| {
        let message = format!("{object} is dereferenced, but no driver has a reference to it");
        bad_reference(k, object, message)
    })
}

pub(super) fn bad_reference(k: &Kernel, object: Va, message: String) -> crate::bugcheck::Halted {
    k.bugcheck(BugCheck::new(
        Code::REFERENCE_BY_POINTER,
        [0, object.get(), 0, 0],
        "bad-reference",
        message,
    ))
}

/// The objects that drivers still refer to, with the number of references.
pub(super) fn held(k: &Kernel) -> Vec<(Va, u64)> {
    let references = k.state::<References>();
    let references = references.borrow();
    references
        .counts
        .iter()
        .map(|(&object, &count)| (object, count))
        .collect()
}
