//! Counted strings over terminated ones: `RtlInitString`, `RtlInitAnsiString`, `RtlInitUTF8String`, `RtlInitUnicodeStringEx`.

use super::unicode_string;
use crate::{
    bugcheck::Outcome,
    crt::{self, Unit},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    for name in ["RtlInitString", "RtlInitAnsiString", "RtlInitUTF8String"] {
        ddi.function(name, 2, contract, |k, a| initialise::<u8>(k, a, false).map(|_| ()));
    }
    for name in ["RtlInitStringEx", "RtlInitAnsiStringEx", "RtlInitUTF8StringEx"] {
        ddi.function(name, 2, contract, |k, a| initialise::<u8>(k, a, true));
    }
    ddi.function("RtlInitUnicodeStringEx", 2, contract, |k, a| {
        initialise::<u16>(k, a, true)
    });
}

/// `RtlInitXxxString(Destination, Source)`. A longer string than can be counted is cut off, or refused by the forms with `Ex`.
fn initialise<T: Unit>(k: &Kernel, a: &Args, refuses: bool) -> Outcome<NtStatus> {
    let longest = usize::from(u16::MAX) / T::SIZE - 1;
    let source = a.va(1);
    if source.is_null() {
        unicode_string::write(k, a.va(0), 0, 0, source)?;
        return Ok(NtStatus::SUCCESS);
    }
    let length = crt::length::<T>(k, source, longest + 1)?;
    if length > longest && refuses {
        return Ok(NtStatus::NAME_TOO_LONG);
    }
    let bytes = |units: usize| u16::try_from(units * T::SIZE).expect("it was cut off");
    let length = length.min(longest);
    unicode_string::write(k, a.va(0), bytes(length), bytes(length + 1), source)?;
    Ok(NtStatus::SUCCESS)
}
