//! Copying and appending: `RtlCopyString`, `RtlAppendUnicodeToString`, `RtlAppendUnicodeStringToString`, `RtlAppendStringToString`,
//! `RtlAppendAsciizToString`, `RtlDuplicateUnicodeString`, `RtlCreateUnicodeString`.

use super::{
    counted::{self, APC, Counted, PASSIVE},
    unicode_string::{self, encode, read_terminated},
};
use crate::{
    bugcheck::Outcome,
    crt,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE`.
const NULL_TERMINATE: u32 = 1;
/// `RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING`.
const ALLOCATE_NULL_STRING: u32 = 2;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlCopyString", 2, Contract::ANY, copy);
    ddi.function("RtlAppendUnicodeToString", 2, Contract::ANY, |k, a| {
        if a.va(1).is_null() {
            return Ok(NtStatus::SUCCESS);
        }
        let text = encode(&read_terminated(k, a.va(1))?);
        append(k, a.va(0), &text, true)
    });
    ddi.function("RtlAppendUnicodeStringToString", 2, Contract::ANY, |k, a| {
        let text = Counted::read(k, a.va(1))?.bytes(k)?;
        append(k, a.va(0), &text, true)
    });
    ddi.function("RtlAppendStringToString", 2, APC, |k, a| {
        let text = Counted::read(k, a.va(1))?.bytes(k)?;
        append(k, a.va(0), &text, false)
    });
    ddi.function("RtlAppendAsciizToString", 2, APC, |k, a| {
        if a.va(1).is_null() {
            return Ok(NtStatus::SUCCESS);
        }
        let text = crt::read::<u8>(k, a.va(1), usize::MAX)?;
        append(k, a.va(0), &text, false)
    });
    ddi.function("RtlDuplicateUnicodeString", 3, PASSIVE, duplicate);
    ddi.function("RtlCreateUnicodeString", 2, PASSIVE, |k, a| {
        let text = encode(&(read_terminated(k, a.va(1))? + "\0"));
        let Ok(maximum) = u16::try_from(text.len()) else {
            return Ok(false);
        };
        let buffer = counted::allocate(k, text.len());
        k.write_bytes(buffer, &text)?;
        unicode_string::write(k, a.va(0), maximum - 2, maximum, buffer)?;
        Ok(true)
    });
}

/// `RtlCopyString(Destination, Source)`: what fits, without a terminator.
fn copy(k: &Kernel, a: &Args) -> Outcome<()> {
    let destination = Counted::read(k, a.va(0))?;
    if a.va(1).is_null() {
        return destination.set_length(k, 0);
    }
    let source = Counted::read(k, a.va(1))?;
    let copied = source.length.min(destination.maximum);
    let bytes = counted::read_bytes(k, source.buffer, copied.into())?;
    destination.put(k, 0, &bytes)?;
    destination.set_length(k, copied)
}

/// Appends all or nothing. A wide string gets a terminator when there is room.
fn append(k: &Kernel, to: Va, text: &[u8], terminates: bool) -> Outcome<NtStatus> {
    let destination = Counted::read(k, to)?;
    let length = usize::from(destination.length) + text.len();
    let length = match u16::try_from(length) {
        Ok(length) if length <= destination.maximum => length,
        _ => return Ok(NtStatus::BUFFER_TOO_SMALL),
    };
    destination.put(k, destination.length, text)?;
    if terminates && destination.maximum - length >= 2 {
        destination.put(k, length, &[0, 0])?;
    }
    destination.set_length(k, length)?;
    Ok(NtStatus::SUCCESS)
}

/// `RtlDuplicateUnicodeString(Flags, StringIn, StringOut)`.
fn duplicate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let flags = a.u32(0);
    let unknown = flags & !(NULL_TERMINATE | ALLOCATE_NULL_STRING) != 0;
    let unused = flags & ALLOCATE_NULL_STRING != 0 && flags & NULL_TERMINATE == 0;
    if unknown || unused || a.va(2).is_null() {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let source = if a.va(1).is_null() {
        Vec::new()
    } else {
        Counted::read(k, a.va(1))?.bytes(k)?
    };
    if source.is_empty() && flags & ALLOCATE_NULL_STRING == 0 {
        unicode_string::write(k, a.va(2), 0, 0, Va::NULL)?;
        return Ok(NtStatus::SUCCESS);
    }
    let terminator = if flags & NULL_TERMINATE == 0 { 0 } else { 2 };
    let Ok(maximum) = u16::try_from(source.len() + terminator) else {
        return Ok(NtStatus::NAME_TOO_LONG);
    };
    let buffer = counted::allocate(k, maximum.into());
    counted::write_bytes(k, buffer, &source)?;
    if terminator > 0 {
        k.write(buffer + source.len(), 0_u16)?;
    }
    let length = maximum - if terminator > 0 { 2 } else { 0 };
    unicode_string::write(k, a.va(2), length, maximum, buffer)?;
    Ok(NtStatus::SUCCESS)
}
