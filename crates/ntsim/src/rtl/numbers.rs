//! Numbers: `RtlRandomEx`, `RtlFindMostSignificantBit`, `RtlUlongByteSwap` and the like.

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
};

use super::counted::APC;

/// The generator's modulus: numbers lie below `MAXLONG`.
const MODULUS: u64 = 0x7FFF_FFFF;

pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("RtlRandom", 1, APC, random);
    ddi.function("RtlRandomEx", 1, APC, random);
    ddi.function("RtlFindMostSignificantBit", 1, any, |_, a| {
        Ok(bit_or_none(a.u64(0).checked_ilog2()))
    });
    ddi.function("RtlFindLeastSignificantBit", 1, any, |_, a| {
        let number = a.u64(0);
        Ok(bit_or_none((number != 0).then(|| number.trailing_zeros())))
    });
    ddi.function("RtlUshortByteSwap", 1, any, |_, a| Ok(u32::from(a.u16(0).swap_bytes())));
    ddi.function("RtlUlongByteSwap", 1, any, |_, a| Ok(a.u32(0).swap_bytes()));
    ddi.function("RtlUlonglongByteSwap", 1, any, |_, a| Ok(a.u64(0).swap_bytes()));
}

/// The number of a bit as a `CCHAR`; -1 when there is none.
fn bit_or_none(bit: Option<u32>) -> u8 {
    bit.and_then(|bit| u8::try_from(bit).ok()).unwrap_or(u8::MAX)
}

/// `RtlRandomEx(Seed)`: a linear congruential sequence, which is the seed's alone. The seed is updated.
fn random(k: &Kernel, a: &Args) -> Outcome<u32> {
    let seed: u32 = k.read(a.va(0))?;
    let next = (u64::from(seed) * 0x7FFF_FFED + 0x7FFF_FFC3) % MODULUS;
    let next = u32::try_from(next).expect("below the modulus");
    k.write(a.va(0), next)?;
    Ok(next)
}
