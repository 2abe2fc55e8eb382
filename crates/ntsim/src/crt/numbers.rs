//! Numbers and text: `atoi`, `strtoul`, `_itoa` and the like.

use super::{
    secure::{EINVAL, ERANGE},
    unit::{Unit, at, read, size, write_terminated},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// An integer type that text is converted to and from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `int` and `long`.
    Int,
    /// `unsigned long`.
    Ulong,
    /// `__int64`.
    Int64,
    /// `unsigned __int64`.
    Uint64,
}

impl Kind {
    /// The least and the greatest value.
    const fn range(self) -> (i128, i128) {
        match self {
            Self::Int => (i32::MIN as i128, i32::MAX as i128),
            Self::Ulong => (0, u32::MAX as i128),
            Self::Int64 => (i64::MIN as i128, i64::MAX as i128),
            Self::Uint64 => (0, u64::MAX as i128),
        }
    }

    const fn is_signed(self) -> bool {
        matches!(self, Self::Int | Self::Int64)
    }

    /// An argument of the type: its magnitude, and whether it is below zero.
    fn argument(self, value: u64) -> (u64, bool) {
        let low = (value & 0xFFFF_FFFF) as u32;
        match self {
            Self::Int => (low.cast_signed().unsigned_abs().into(), low.cast_signed() < 0),
            Self::Ulong => (low.into(), false),
            Self::Int64 => (value.cast_signed().unsigned_abs(), value.cast_signed() < 0),
            Self::Uint64 => (value, false),
        }
    }
}

pub(super) fn register(ddi: &mut Registry) {
    family::<u8>(ddi);
    family::<u16>(ddi);
}

fn family<T: Unit>(ddi: &mut Registry) {
    for (narrow, wide, kind) in [
        ("atoi", "_wtoi", Kind::Int),
        ("atol", "_wtol", Kind::Int),
        ("_atoi64", "_wtoi64", Kind::Int64),
    ] {
        ddi.function(T::pick(narrow, wide), 1, Contract::ANY, move |k, a| {
            let text = read::<T>(k, a.va(0), usize::MAX)?;
            Ok(parse(&text, 10, kind).0)
        });
    }
    for (narrow, wide, kind) in [
        ("strtol", "wcstol", Kind::Int),
        ("strtoul", "wcstoul", Kind::Ulong),
        ("_strtoi64", "_wcstoi64", Kind::Int64),
        ("_strtoui64", "_wcstoui64", Kind::Uint64),
    ] {
        ddi.function(T::pick(narrow, wide), 3, Contract::ANY, move |k, a| {
            let text = read::<T>(k, a.va(0), usize::MAX)?;
            let (value, used) = parse(&text, a.u32(2), kind);
            if !a.va(1).is_null() {
                k.write(a.va(1), at::<T>(a.va(0), used))?;
            }
            Ok(value)
        });
    }
    for (narrow, wide, kind) in [
        ("_itoa", "_itow", Kind::Int),
        ("_ltoa", "_ltow", Kind::Int),
        ("_ultoa", "_ultow", Kind::Ulong),
        ("_i64toa", "_i64tow", Kind::Int64),
        ("_ui64toa", "_ui64tow", Kind::Uint64),
    ] {
        ddi.function(T::pick(narrow, wide), 3, Contract::ANY, move |k, a| {
            let text = print::<T>(kind, a.u64(0), a.u32(2));
            write_terminated(k, a.va(1), &text)?;
            Ok(a.va(1))
        });
    }
    for (narrow, wide, kind) in [
        ("_itoa_s", "_itow_s", Kind::Int),
        ("_ltoa_s", "_ltow_s", Kind::Int),
        ("_ultoa_s", "_ultow_s", Kind::Ulong),
        ("_i64toa_s", "_i64tow_s", Kind::Int64),
        ("_ui64toa_s", "_ui64tow_s", Kind::Uint64),
    ] {
        ddi.function(T::pick(narrow, wide), 4, Contract::ANY, move |k, a| {
            print_checked::<T>(k, a, kind)
        });
    }
}

/// The number at the start of a text, as rax has it, and how many characters it takes: none when there is no number. One out of range is
/// the nearest in it.
fn parse<T: Unit>(text: &[T], base: u32, kind: Kind) -> (u64, usize) {
    let byte = |index: usize| text.get(index).and_then(|unit| unit.ascii());
    let mut next = text
        .iter()
        .take_while(|unit| unit.ascii().is_some_and(|byte| matches!(byte, b' ' | b'\t'..=b'\r')))
        .count();
    let negative = byte(next) == Some(b'-');
    next += usize::from(matches!(byte(next), Some(b'-' | b'+')));
    if base == 1 || base > 36 {
        return (0, 0);
    }
    let is_hex = byte(next) == Some(b'0')
        && matches!(byte(next + 1), Some(b'x' | b'X'))
        && byte(next + 2).is_some_and(|digit| digit.is_ascii_hexdigit());
    let base = match base {
        0 if is_hex => 16,
        0 if byte(next) == Some(b'0') => 8,
        0 => 10,
        base => base,
    };
    next += if base == 16 && is_hex { 2 } else { 0 };
    let start = next;
    let (least, greatest) = kind.range();
    let mut magnitude = 0_i128;
    while let Some(digit) = byte(next).and_then(|byte| char::from(byte).to_digit(base)) {
        // The bound is beyond every type's range and keeps the sum from overflowing.
        magnitude = (magnitude * i128::from(base) + i128::from(digit)).min(i128::from(u64::MAX) + 1);
        next += 1;
    }
    if next == start {
        return (0, 0);
    }
    let value = match (negative, kind.is_signed()) {
        (true, true) => (-magnitude).max(least),
        (false, _) => magnitude.min(greatest),
        // A minus sign before an unsigned number negates it; one that is too large stays the greatest.
        (true, false) if magnitude > greatest => greatest,
        (true, false) => (greatest + 1 - magnitude) & greatest,
    };
    (low_bits(value) & mask(kind), next)
}

/// The low 64 bits of a number.
fn low_bits(number: i128) -> u64 {
    u64::try_from(number & i128::from(u64::MAX)).expect("64 bits are left")
}

/// What of rax a value of the type takes up.
const fn mask(kind: Kind) -> u64 {
    match kind {
        Kind::Int | Kind::Ulong => 0xFFFF_FFFF,
        Kind::Int64 | Kind::Uint64 => u64::MAX,
    }
}

/// A number as text. Only decimal numbers have a sign.
fn print<T: Unit>(kind: Kind, value: u64, radix: u32) -> Vec<T> {
    let radix = radix.clamp(2, 36);
    let (mut magnitude, negative) = if radix == 10 {
        kind.argument(value)
    } else {
        (value & mask(kind), false)
    };
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(magnitude % u64::from(radix)).expect("below the radix");
        let digit = char::from_digit(digit, radix).expect("below the radix");
        digits.push(T::of(u64::from(digit)));
        magnitude /= u64::from(radix);
        if magnitude == 0 {
            break;
        }
    }
    if negative {
        digits.push(T::of(u64::from(b'-')));
    }
    digits.reverse();
    digits
}

/// `_itoa_s(value, buffer, size, radix)`.
fn print_checked<T: Unit>(k: &Kernel, a: &Args, kind: Kind) -> Outcome<i32> {
    let (buffer, room, radix): (Va, usize, u32) = (a.va(1), size(a.u64(2)), a.u32(3));
    if buffer.is_null() || room == 0 {
        return Ok(EINVAL);
    }
    if !(2..=36).contains(&radix) {
        k.write(buffer, T::ZERO)?;
        return Ok(EINVAL);
    }
    let text = print::<T>(kind, a.u64(0), radix);
    if text.len() >= room {
        k.write(buffer, T::ZERO)?;
        return Ok(ERANGE);
    }
    write_terminated(k, buffer, &text)?;
    Ok(0)
}
