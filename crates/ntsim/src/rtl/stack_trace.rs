//! The calls that led here: `RtlCaptureStackBackTrace`, `RtlWalkFrameChain`.

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    report::{StackEntry, call_stack},
};

/// `RTL_WALK_USER_MODE_STACK`.
const USER_MODE_STACK: u32 = 1;
/// Where the flags say how many frames to leave out.
const SKIP_SHIFT: u32 = 8;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlCaptureStackBackTrace", 4, Contract::ANY, |k, a| {
        let (addresses, count) = store(k, a.u32(0), a.u32(1), a.va(2))?;
        if !a.va(3).is_null() {
            // The sum of the addresses, as a key for tables of traces.
            let sum = addresses
                .iter()
                .fold(0_u64, |sum, address| sum.wrapping_add(address.get()));
            k.write(a.va(3), (sum & 0xFFFF_FFFF) as u32)?;
        }
        Ok(count)
    });
    ddi.function("RtlWalkFrameChain", 3, Contract::ANY, walk);
}

/// `RtlWalkFrameChain(Callers, Count, Flags)`. There is no user-mode code in this machine to walk.
fn walk(k: &Kernel, a: &Args) -> Outcome<u32> {
    let flags = a.u32(2);
    if flags & USER_MODE_STACK != 0 {
        return Ok(0);
    }
    store(k, flags >> SKIP_SHIFT, a.u32(1), a.va(0)).map(|(_, count)| count)
}

/// Stores the return addresses from the caller's on, without the first `skip`, at most `most`.
fn store(k: &Kernel, skip: u32, most: u32, to: Va) -> Outcome<(Vec<Va>, u32)> {
    let addresses: Vec<Va> = call_stack(k, false)
        .iter()
        .filter_map(|entry| match entry {
            StackEntry::Guest { address, .. } => Some(*address),
            StackEntry::Kernel(_) => None,
        })
        .skip(usize::try_from(skip).expect("32 bits fit"))
        .take(usize::try_from(most).expect("32 bits fit"))
        .collect();
    for (index, &address) in addresses.iter().enumerate() {
        k.write(to + 8 * index, address)?;
    }
    let count = u32::try_from(addresses.len()).expect("as many as were asked for at most");
    Ok((addresses, count))
}
