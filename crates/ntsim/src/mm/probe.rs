//! `ProbeForRead` and `ProbeForWrite`: whether a range is a program's.

use super::{USER_PROBE_ADDRESS, UserRange};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    exception,
    ke::Irql,
    kernel::Kernel,
    status::NtStatus,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC);
    ddi.function("ProbeForRead", 3, contract, |k, a| probe(k, a, "ProbeForRead", false));
    ddi.function("ProbeForWrite", 3, contract, |k, a| probe(k, a, "ProbeForWrite", true));
}

/// `ProbeForRead` looks at the address only; `ProbeForWrite` touches each page.
fn probe(k: &Kernel, a: &Args, routine: &str, write: bool) -> Outcome<()> {
    let (address, length, alignment) = (a.va(0), a.u64(1), u64::from(a.u32(2)));
    let raised = |status| Err(exception::raise_status(k, routine, status));
    if length == 0 {
        return Ok(());
    }
    if alignment > 1 && !address.get().is_multiple_of(alignment) {
        return raised(NtStatus::DATATYPE_MISALIGNMENT);
    }
    let end = address.get().checked_add(length);
    if end.is_none_or(|end| end > USER_PROBE_ADDRESS.get()) {
        return raised(NtStatus::ACCESS_VIOLATION);
    }
    let passed = || {
        let mut user = k.watch().user.borrow_mut();
        user.note_probe(k.current_thread(), address, length, write);
    };
    if !write {
        passed();
        return Ok(());
    }
    let Ok(in_32_bits) = u32::try_from(length) else {
        return raised(NtStatus::ACCESS_VIOLATION);
    };
    let range = UserRange {
        address,
        length: in_32_bits,
    };
    let here = k
        .watch()
        .user
        .borrow()
        .find_for(address, k.current_thread(), k.irql())
        .is_ok();
    match k.user_pages(range, true) {
        Ok(_) if here => {
            passed();
            Ok(())
        }
        _ => raised(NtStatus::ACCESS_VIOLATION),
    }
}
