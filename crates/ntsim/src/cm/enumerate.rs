//! The keys and values of a key, one after the other: `ZwEnumerateKey`, `ZwEnumerateValueKey`.

use super::{hive, information, key::key_of, query::Information};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    ob::handle::{Handle, ZW_CONTRACT},
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ZwEnumerateKey", 6, ZW_CONTRACT, |k, a| {
        enumerate(k, a, |key, index, class| {
            hive::with(k, |hives| {
                let child = hives.children(key).nth(index)?.name.to_lowercase();
                Some(information::of(hives, class, &format!("{key}\\{child}")))
            })
        })
    });
    ddi.function("ZwEnumerateValueKey", 6, ZW_CONTRACT, |k, a| {
        enumerate(k, a, |key, index, class| {
            hive::with(k, |hives| {
                let entry = hives.keys.get(key)?.values.values().nth(index)?;
                Some(Information::of(class, entry))
            })
        })
    });
}

/// `ZwEnumerateXxx(KeyHandle, Index, Class, Information, Length, ResultLength)`. `of` tells what a class says of what has an index.
fn enumerate(
    k: &Kernel,
    a: &Args,
    of: impl FnOnce(&str, usize, u32) -> Option<Option<Information>>,
) -> Outcome<NtStatus> {
    let key = match key_of(k, Handle(a.u64(0)))? {
        Ok(key) => key,
        Err(status) => return Ok(status),
    };
    let index = usize::try_from(a.u32(1)).expect("32 bits fit");
    match of(&key, index, a.u32(2)) {
        None => Ok(NtStatus::NO_MORE_ENTRIES),
        Some(None) => Ok(NtStatus::INVALID_PARAMETER),
        Some(Some(information)) => information.store(k, a.va(3), a.u32(4), a.va(5)),
    }
}
