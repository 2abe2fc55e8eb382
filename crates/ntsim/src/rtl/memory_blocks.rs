//! Blocks of memory: `RtlCompareMemory`, `RtlZeroMemory`, `RtlFillMemory` and the like.

use super::counted::{read_bytes, write_bytes};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("RtlCompareMemory", 3, any, |k, a| {
        let (mut equal, length) = (0, a.u64(2));
        while equal < length && k.read::<u8>(a.va(0) + equal)? == k.read::<u8>(a.va(1) + equal)? {
            equal += 1;
        }
        Ok(equal)
    });
    ddi.function("RtlCompareMemoryUlong", 3, any, |k, a| {
        let (mut equal, length) = (0, a.u64(1) / 4 * 4);
        while equal < length && k.read::<u32>(a.va(0) + equal)? == a.u32(2) {
            equal += 4;
        }
        Ok(equal)
    });
    ddi.function("RtlZeroMemory", 2, any, |k, a| fill(k, a.va(0), 0, a.u64(1)));
    ddi.function("RtlSecureZeroMemory", 2, any, |k, a| {
        fill(k, a.va(0), 0, a.u64(1))?;
        Ok(a.va(0))
    });
    ddi.function("RtlFillMemory", 3, any, |k, a| fill(k, a.va(0), a.u8(2), a.u64(1)));
    ddi.function("RtlFillMemoryUlong", 3, any, fill_numbers::<4>);
    ddi.function("RtlFillMemoryUlonglong", 3, any, fill_numbers::<8>);
    ddi.function("RtlIsZeroMemory", 2, any, |k, a| {
        let bytes = read_bytes(k, a.va(0), length(a.u64(1)))?;
        Ok(bytes.iter().all(|&byte| byte == 0))
    });
    ddi.function("RtlMoveMemory", 3, any, copy);
    ddi.function("RtlCopyMemoryNonTemporal", 3, any, copy);
    // A hint to the processor's caches, which this machine does not have.
    ddi.function("RtlPrefetchMemoryNonTemporal", 2, any, |_, _| Ok(()));
}

fn length(argument: u64) -> usize {
    usize::try_from(argument).unwrap_or(usize::MAX)
}

fn fill(k: &Kernel, to: Va, byte: u8, count: u64) -> Outcome<()> {
    k.fill(to, byte, length(count))
}

/// `RtlFillMemoryUlong(Destination, Length, Pattern)`: the length is a multiple of the pattern's size.
fn fill_numbers<const SIZE: usize>(k: &Kernel, a: &Args) -> Outcome<()> {
    let pattern = &a.u64(2).to_le_bytes()[..SIZE];
    for index in 0..length(a.u64(1)) / SIZE {
        k.write_bytes(a.va(0) + index * SIZE, pattern)?;
    }
    Ok(())
}

fn copy(k: &Kernel, a: &Args) -> Outcome<()> {
    let bytes = read_bytes(k, a.va(1), length(a.u64(2)))?;
    write_bytes(k, a.va(0), &bytes)
}
