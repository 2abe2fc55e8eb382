//! Text in buffers from the code page to UTF-16 and back: `RtlMultiByteToUnicodeN`, `RtlUnicodeToMultiByteN`, the OEM forms,
//! `RtlUTF8ToUnicodeN`, `RtlUnicodeToUTF8N`, and the sizes.

use super::{
    case_mapping::upcase,
    code_page::{narrow, narrow_text, widen_text},
    counted::{APC, PASSIVE, bytes_of, read_bytes, units, write_bytes},
    utf8,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

type Convert = fn(&[u8]) -> Vec<u8>;

pub(super) fn register(ddi: &mut Registry) {
    let conversions: [(_, Convert, usize); 6] = [
        ("RtlMultiByteToUnicodeN", to_wide, 2),
        ("RtlOemToUnicodeN", to_wide, 2),
        ("RtlUnicodeToMultiByteN", to_narrow, 1),
        ("RtlUnicodeToOemN", to_narrow, 1),
        ("RtlUpcaseUnicodeToMultiByteN", to_upper_narrow, 1),
        ("RtlUpcaseUnicodeToOemN", to_upper_narrow, 1),
    ];
    for (name, conversion, unit) in conversions {
        ddi.function(name, 5, APC, move |k, a| convert(k, a, conversion, unit));
    }
    ddi.function("RtlMultiByteToUnicodeSize", 3, APC, |k, a| size(k, a, to_wide));
    ddi.function("RtlUnicodeToMultiByteSize", 3, APC, |k, a| size(k, a, to_narrow));
    ddi.function("RtlUTF8ToUnicodeN", 5, PASSIVE, |k, a| {
        convert_utf8(
            k,
            a,
            |source| {
                let (text, whole) = utf8::decode(source);
                (bytes_of(&text), whole)
            },
            whole_units,
        )
    });
    ddi.function("RtlUnicodeToUTF8N", 5, PASSIVE, |k, a| {
        convert_utf8(k, a, |source| utf8::encode(&units::<u16>(source)), whole_characters)
    });
}

fn to_wide(text: &[u8]) -> Vec<u8> {
    bytes_of(&widen_text(text))
}

fn to_narrow(text: &[u8]) -> Vec<u8> {
    narrow_text(&units(text))
}

fn to_upper_narrow(text: &[u8]) -> Vec<u8> {
    units::<u16>(text)
        .into_iter()
        .map(|unit| narrow(upcase(unit)))
        .collect()
}

fn source(k: &Kernel, at: Va, length: u32) -> Outcome<Vec<u8>> {
    read_bytes(k, at, usize::try_from(length).expect("32 bits fit"))
}

/// Lengths of what comes from lengths of 32 bits.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// `RtlXxxToYyyN(Destination, MaximumBytes, ResultBytes, Source, SourceBytes)`: what fits is converted, and that is a success.
fn convert(k: &Kernel, a: &Args, conversion: Convert, unit: usize) -> Outcome<NtStatus> {
    let mut text = conversion(&source(k, a.va(3), a.u32(4))?);
    let room = usize::try_from(a.u32(1)).expect("32 bits fit");
    text.truncate(room / unit * unit);
    write_bytes(k, a.va(0), &text)?;
    if !a.va(2).is_null() {
        k.write(a.va(2), length(&text))?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `RtlXxxToYyySize(ResultBytes, Source, SourceBytes)`.
fn size(k: &Kernel, a: &Args, conversion: Convert) -> Outcome<NtStatus> {
    let text = conversion(&source(k, a.va(1), a.u32(2))?);
    k.write(a.va(0), length(&text))?;
    Ok(NtStatus::SUCCESS)
}

/// How many bytes of UTF-16 fit that make whole units.
fn whole_units(_: &[u8], room: usize) -> usize {
    room / 2 * 2
}

/// How many bytes of UTF-8 fit that make whole characters.
fn whole_characters(text: &[u8], room: usize) -> usize {
    let starts = |index: &usize| text.get(*index).is_none_or(|byte| byte & 0xC0 != 0x80);
    (0..=room.min(text.len())).rfind(starts).unwrap_or(0)
}

/// `RtlUTF8ToUnicodeN(Destination, MaximumBytes, ActualBytes, Source, SourceBytes)`: without a destination, the bytes that are needed.
fn convert_utf8(
    k: &Kernel,
    a: &Args,
    conversion: impl Fn(&[u8]) -> (Vec<u8>, bool),
    fitting: fn(&[u8], usize) -> usize,
) -> Outcome<NtStatus> {
    let (to, actual) = (a.va(0), a.va(2));
    if a.va(3).is_null() {
        return Ok(NtStatus::INVALID_PARAMETER_4);
    }
    if to.is_null() && actual.is_null() {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let (text, whole) = conversion(&source(k, a.va(3), a.u32(4))?);
    let room = usize::try_from(a.u32(1)).expect("32 bits fit");
    let kept = if to.is_null() || text.len() <= room {
        &text[..]
    } else {
        &text[..fitting(&text, room)]
    };
    if !to.is_null() {
        write_bytes(k, to, kept)?;
    }
    if !actual.is_null() {
        k.write(actual, length(kept))?;
    }
    Ok(if kept.len() < text.len() {
        NtStatus::BUFFER_TOO_SMALL
    } else if whole {
        NtStatus::SUCCESS
    } else {
        NtStatus::SOME_NOT_MAPPED
    })
}
