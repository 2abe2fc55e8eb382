//! `memcpy`, `memmove`, `memset` and `memcmp`, which the kernel exports beside the routines of its own.

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("memcpy", 3, Contract::ANY, copy);
    ddi.function("RtlCopyMemory", 3, Contract::ANY, copy);
    ddi.function("memmove", 3, Contract::ANY, copy);
    ddi.function("memset", 3, Contract::ANY, |k, a| {
        k.fill(a.va(0), a.u8(1), length(a))?;
        Ok(a.va(0))
    });
    ddi.function("memcmp", 3, Contract::ANY, |k, a| {
        let first = k.read_bytes(a.va(0), length(a))?;
        let second = k.read_bytes(a.va(1), length(a))?;
        Ok(first.cmp(&second) as i32)
    });
}

/// Copies as if through a buffer, so overlapping is no matter.
fn copy(k: &Kernel, a: &Args) -> Outcome<Va> {
    let bytes = k.read_bytes(a.va(1), length(a))?;
    k.write_bytes(a.va(0), &bytes)?;
    Ok(a.va(0))
}

fn length(a: &Args) -> usize {
    usize::try_from(a.u64(2)).expect("64 bits")
}
