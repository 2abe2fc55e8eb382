//! `MmSecureVirtualMemory`, `MmUnsecureVirtualMemory`: a program's memory that can be neither freed nor given a more restrictive protection.

use std::collections::BTreeMap;

use super::{UserRange, Va};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
};

/// `PAGE_READONLY` and `PAGE_READWRITE`.
const READ_ONLY: u32 = 0x02;
const READ_WRITE: u32 = 0x04;

/// A secured range.
#[derive(Clone, Copy, Debug)]
struct Secured {
    start: Va,
    length: u64,
    /// It stays writable.
    writable: bool,
}

/// All of them, by handle.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<Va, Secured>);

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_MM_APC_LTE);
    ddi.function("MmSecureVirtualMemory", 3, contract, |k, a| {
        secure(k, a.va(0), a.u64(1), a.u32(2))
    });
    ddi.function("MmUnsecureVirtualMemory", 1, contract, |k, a| unsecure(k, a.va(0)));
}

/// A handle of the secured range; null when it cannot be secured.
fn secure(k: &Kernel, start: Va, length: u64, mode: u32) -> Outcome<Va> {
    let writable = match mode {
        READ_ONLY => false,
        READ_WRITE => true,
        _ => return Ok(Va::NULL),
    };
    let Ok(length_32) = u32::try_from(length) else {
        return Ok(Va::NULL);
    };
    let range = UserRange {
        address: start,
        length: length_32,
    };
    let here = {
        let user = k.watch().user.borrow();
        length != 0 && user.find_for(start, k.current_thread(), k.irql()).is_ok()
    };
    if !here || k.user_pages(range, writable).is_err() {
        return Ok(Va::NULL);
    }
    let handle = k.allocate_system(8, "a handle of secured memory")?;
    k.note_made(handle);
    let secured = Secured {
        start,
        length,
        writable,
    };
    k.state::<Ranges>().borrow_mut().0.insert(handle, secured);
    Ok(handle)
}

fn unsecure(k: &Kernel, handle: Va) -> Outcome<()> {
    if k.state::<Ranges>().borrow_mut().0.remove(&handle).is_some() {
        k.note_freed(handle);
        return k.free_system(handle);
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::SECURED_MEMORY.subcode, handle.get(), 0, 0],
        "secured-memory",
        format!("MmUnsecureVirtualMemory was given {handle}, which MmSecureVirtualMemory did not give, or that was unsecured before"),
    )))
}

/// Whether the `length` bytes from `start` on may not be freed, or, with a protection to be set, not be given that.
pub(super) fn forbids(k: &Kernel, start: Va, length: u64, writable: Option<bool>) -> bool {
    let state = k.state::<Ranges>();
    let state = state.borrow();
    state.0.values().any(|range| {
        let overlaps = range.start < start + length && start < range.start + range.length;
        overlaps && writable.is_none_or(|writable| range.writable && !writable)
    })
}

/// The ranges that are still secured.
pub(crate) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let state = k.state::<Ranges>();
    let state = state.borrow();
    let ranges = state.0.iter();
    ranges
        .map(|(&handle, range)| {
            let what = format!("the program's memory at {} is still secured ({handle})", range.start);
            Leftover::new(handle, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddi::testing::{bugcheck_of, call, clean};

    #[test]
    fn secured_memory_stays_as_it_is() {
        clean(|k| async move {
            let va = k.allocate_user(0, 0x2000);
            let secure = async |mode: u64| call(&k, "MmSecureVirtualMemory", &[va.get(), 0x1800, mode]).await;
            let handle = secure(4).await?;
            assert_ne!(handle, 0);
            k.protect_user(va, false);
            k.free_user(va);
            assert!(k.write_user(va, &[1]).is_ok(), "it is there, and writable");
            assert_eq!(leftovers(&k).len(), 1);
            call(&k, "MmUnsecureVirtualMemory", &[handle]).await?;
            k.protect_user(va, false);
            assert_eq!(secure(4).await?, 0, "it is not writable any more");
            let handle = secure(2).await?;
            call(&k, "MmUnsecureVirtualMemory", &[handle]).await?;
            k.free_user(va);
            assert_eq!(secure(2).await?, 0);
            assert_eq!(leftovers(&k), []);
            Ok(())
        });
        let twice = bugcheck_of(|k| async move {
            call(&k, "MmUnsecureVirtualMemory", &[0x1000]).await?;
            Ok(())
        });
        assert_eq!(twice.2, "secured-memory");
    }
}
