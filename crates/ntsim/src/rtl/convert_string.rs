//! Counted strings from the code page to UTF-16 and back: `RtlAnsiStringToUnicodeString`, `RtlUnicodeStringToAnsiString`, the OEM and the
//! UTF-8 forms, and what frees them.

use super::{
    case_mapping::upcase,
    code_page::{narrow, narrow_text, widen, widen_text},
    counted::{self, APC, Counted, PASSIVE, bytes_of},
    unicode_string, utf8,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// What comes of the source: bytes without a terminator, and whether every character could be converted.
type Convert = fn(&Kernel, &Counted) -> Outcome<(Vec<u8>, bool)>;

/// How a conversion ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// A terminator of so many bytes comes behind the text.
    Terminated(u16),
    /// The text alone is stored.
    Counted,
}

pub(super) fn register(ddi: &mut Registry) {
    let narrow_end = Ending::Terminated(1);
    let wide_end = Ending::Terminated(2);
    let conversions: [(_, Convert, Ending); 10] = [
        ("RtlAnsiStringToUnicodeString", to_wide, wide_end),
        ("RtlOemStringToUnicodeString", to_wide, wide_end),
        ("RtlOemStringToCountedUnicodeString", to_wide, Ending::Counted),
        ("RtlUnicodeStringToAnsiString", to_narrow, narrow_end),
        ("RtlUnicodeStringToOemString", to_narrow, narrow_end),
        ("RtlUnicodeStringToCountedOemString", to_narrow, Ending::Counted),
        ("RtlUpcaseUnicodeStringToOemString", to_upper_narrow, narrow_end),
        (
            "RtlUpcaseUnicodeStringToCountedOemString",
            to_upper_narrow,
            Ending::Counted,
        ),
        ("RtlUTF8StringToUnicodeString", from_utf8, wide_end),
        ("RtlUnicodeStringToUTF8String", to_utf8, narrow_end),
    ];
    for (name, conversion, ending) in conversions {
        ddi.function(name, 3, PASSIVE, move |k, a| convert(k, a, conversion, ending));
    }
    // The code page has one byte for each character.
    ddi.data("NlsMbCodePageTag", 1, |k, at| k.write(at, 0_u8));
    ddi.data("NlsMbOemCodePageTag", 1, |k, at| k.write(at, 0_u8));
    for (name, contract) in [
        ("RtlFreeAnsiString", APC),
        ("RtlFreeOemString", APC),
        ("RtlFreeUTF8String", PASSIVE),
    ] {
        ddi.function(name, 1, contract, |k, a| unicode_string::free(k, a.va(0)));
    }
    for name in [
        "RtlxAnsiStringToUnicodeSize",
        "RtlAnsiStringToUnicodeSize",
        "RtlxOemStringToUnicodeSize",
        "RtlOemStringToUnicodeSize",
    ] {
        ddi.function(name, 1, PASSIVE, |k, a| {
            Ok((u32::from(Counted::read(k, a.va(0))?.length) + 1) * 2)
        });
    }
    for name in [
        "RtlxUnicodeStringToAnsiSize",
        "RtlUnicodeStringToAnsiSize",
        "RtlxUnicodeStringToOemSize",
        "RtlUnicodeStringToOemSize",
    ] {
        ddi.function(name, 1, PASSIVE, |k, a| {
            let (bytes, _) = to_narrow(k, &Counted::read(k, a.va(0))?)?;
            Ok(u32::try_from(bytes.len() + 1).expect("a counted string is short"))
        });
    }
    ddi.function("RtlAnsiCharToUnicodeChar", 1, Contract::at_most(Irql::APC), |k, a| {
        let source: Va = k.read(a.va(0))?;
        let byte: u8 = k.read(source)?;
        k.write(a.va(0), source + 1_u64)?;
        Ok(u32::from(widen(byte)))
    });
}

fn to_wide(k: &Kernel, source: &Counted) -> Outcome<(Vec<u8>, bool)> {
    Ok((bytes_of(&widen_text(&source.bytes(k)?)), true))
}

fn to_narrow(k: &Kernel, source: &Counted) -> Outcome<(Vec<u8>, bool)> {
    Ok((narrow_text(&source.units(k)?), true))
}

fn to_upper_narrow(k: &Kernel, source: &Counted) -> Outcome<(Vec<u8>, bool)> {
    let units = source.units::<u16>(k)?;
    Ok((units.into_iter().map(|unit| narrow(upcase(unit))).collect(), true))
}

fn from_utf8(k: &Kernel, source: &Counted) -> Outcome<(Vec<u8>, bool)> {
    let (units, whole) = utf8::decode(&source.bytes(k)?);
    Ok((bytes_of(&units), whole))
}

fn to_utf8(k: &Kernel, source: &Counted) -> Outcome<(Vec<u8>, bool)> {
    Ok(utf8::encode(&source.units(k)?))
}

/// `RtlXxxStringToYyyString(DestinationString, SourceString, AllocateDestinationString)`.
///
/// Without room, a narrow destination gets what fits with its terminator; a wide one is left as it is.
fn convert(k: &Kernel, a: &Args, conversion: Convert, ending: Ending) -> Outcome<NtStatus> {
    let (text, whole) = conversion(k, &Counted::read(k, a.va(1))?)?;
    let terminator = match ending {
        Ending::Terminated(size) => size,
        Ending::Counted => 0,
    };
    let (Ok(length), Ok(needed)) = (
        u16::try_from(text.len()),
        u16::try_from(text.len() + usize::from(terminator)),
    ) else {
        return Ok(NtStatus::INVALID_PARAMETER_2);
    };
    let end = vec![0; terminator.into()];
    let done = if whole {
        NtStatus::SUCCESS
    } else {
        NtStatus::SOME_NOT_MAPPED
    };
    if a.bool(2) {
        let buffer = counted::allocate(k, needed.into());
        counted::write_bytes(k, buffer, &[text, end].concat())?;
        unicode_string::write(k, a.va(0), length, needed, buffer)?;
        return Ok(done);
    }
    let destination = Counted::read(k, a.va(0))?;
    if needed <= destination.maximum {
        destination.put(k, 0, &[text, end].concat())?;
        destination.set_length(k, length)?;
        return Ok(done);
    }
    if ending == Ending::Terminated(1) && destination.maximum > 0 {
        let kept = destination.maximum - 1;
        destination.put(k, 0, &text[..usize::from(kept).min(text.len())])?;
        destination.put(k, kept, &[0])?;
        destination.set_length(k, kept)?;
    }
    Ok(NtStatus::BUFFER_OVERFLOW)
}
