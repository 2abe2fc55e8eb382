//! Upper and lower case: `RtlUpcaseUnicodeChar`, `RtlUpcaseUnicodeString`, `RtlUpperString` and the like.

use super::{
    case_mapping::{downcase, upcase},
    compare::Cased,
    counted::{self, APC, Counted},
    unicode_string,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlUpcaseUnicodeChar", 1, APC, |_, a| Ok(u32::from(upcase(a.u16(0)))));
    ddi.function("RtlDowncaseUnicodeChar", 1, counted::PASSIVE, |_, a| {
        Ok(u32::from(downcase(a.u16(0))))
    });
    ddi.function("RtlUpperChar", 1, APC, |_, a| Ok(a.u8(0).upcase()));
    ddi.function("RtlUpcaseUnicodeString", 3, APC, |k, a| convert(k, a, upcase));
    ddi.function("RtlDowncaseUnicodeString", 3, APC, |k, a| convert(k, a, downcase));
    ddi.function("RtlUpperString", 2, APC, |k, a| {
        let (to, from) = (Counted::read(k, a.va(0))?, Counted::read(k, a.va(1))?);
        let copied = from.length.min(to.maximum);
        let bytes = counted::read_bytes(k, from.buffer, copied.into())?;
        let upper: Vec<u8> = bytes.into_iter().map(u8::upcase).collect();
        to.put(k, 0, &upper)?;
        to.set_length(k, copied)
    });
}

/// `RtlUpcaseUnicodeString(Destination, Source, AllocateDestinationString)`: no terminator.
fn convert(k: &Kernel, a: &Args, fold: fn(u16) -> u16) -> Outcome<NtStatus> {
    let source = Counted::read(k, a.va(1))?;
    let units: Vec<u16> = source.units::<u16>(k)?.into_iter().map(fold).collect();
    let bytes = counted::bytes_of(&units);
    if a.bool(2) {
        let buffer = counted::allocate(k, bytes.len());
        counted::write_bytes(k, buffer, &bytes)?;
        unicode_string::write(k, a.va(0), source.length, source.length, buffer)?;
        return Ok(NtStatus::SUCCESS);
    }
    let destination = Counted::read(k, a.va(0))?;
    if destination.maximum < source.length {
        return Ok(NtStatus::BUFFER_OVERFLOW);
    }
    destination.put(k, 0, &bytes)?;
    destination.set_length(k, source.length)?;
    Ok(NtStatus::SUCCESS)
}
