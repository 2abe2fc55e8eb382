//! Numbers and text: `RtlIntegerToUnicodeString`, `RtlInt64ToUnicodeString`, `RtlUnicodeStringToInteger`, `RtlCharToInteger`.

use super::counted::{Counted, PASSIVE, bytes_of, units_at};
use crate::{
    bugcheck::Outcome,
    crt::{self, Unit},
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlIntegerToUnicodeString", 3, PASSIVE, |k, a| {
        print(k, a.u32(0).into(), a.u32(1), a.va(2))
    });
    ddi.function("RtlInt64ToUnicodeString", 3, PASSIVE, |k, a| {
        print(k, a.u64(0), a.u32(1), a.va(2))
    });
    ddi.function("RtlUnicodeStringToInteger", 3, PASSIVE, |k, a| {
        let text = units_at::<u16>(k, a.va(0))?;
        if text.is_empty() {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        parse(k, &text, a)
    });
    ddi.function("RtlCharToInteger", 3, PASSIVE, |k, a| {
        let text = crt::read::<u8>(k, a.va(0), usize::MAX)?;
        parse(k, &text, a)
    });
}

/// The number in a base; a base of 0 is 10.
fn print(k: &Kernel, mut number: u64, base: u32, to: Va) -> Outcome<NtStatus> {
    let base = match base {
        0 => 10,
        2 | 8 | 10 | 16 => base,
        _ => return Ok(NtStatus::INVALID_PARAMETER),
    };
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % u64::from(base)).expect("a digit");
        let letter = char::from_digit(digit, base).expect("a digit of the base");
        digits.push(u16::of(u64::from(letter.to_ascii_uppercase())));
        number /= u64::from(base);
        if number == 0 {
            break;
        }
    }
    digits.reverse();
    let bytes = bytes_of(&digits);
    let length = u16::try_from(bytes.len()).expect("there are 64 digits at most");
    let destination = Counted::read(k, to)?;
    if destination.maximum < length {
        return Ok(NtStatus::BUFFER_OVERFLOW);
    }
    destination.put(k, 0, &bytes)?;
    if destination.maximum - length >= 2 {
        destination.put(k, length, &[0, 0])?;
    }
    destination.set_length(k, length)?;
    Ok(NtStatus::SUCCESS)
}

/// `(Text, Base, Value)`: white space, a sign, with a base of 0 a prefix, digits. A number that is too large loses its upper bits; text
/// without a number is 0.
fn parse<T: Unit>(k: &Kernel, text: &[T], a: &Args) -> Outcome<NtStatus> {
    let letter = |index: usize| text.get(index).and_then(|unit| unit.ascii());
    let mut next = text.iter().take_while(|&&unit| unit.into() <= u32::from(b' ')).count();
    let negative = letter(next) == Some(b'-');
    next += usize::from(matches!(letter(next), Some(b'-' | b'+')));
    let base = match a.u32(1) {
        0 => {
            let prefix = (letter(next), letter(next + 1));
            let base = match prefix {
                (Some(b'0'), Some(b'x')) => Some(16),
                (Some(b'0'), Some(b'o')) => Some(8),
                (Some(b'0'), Some(b'b')) => Some(2),
                _ => None,
            };
            next += if base.is_some() { 2 } else { 0 };
            base.unwrap_or(10)
        }
        base @ (2 | 8 | 10 | 16) => base,
        _ => return Ok(NtStatus::INVALID_PARAMETER),
    };
    let mut value = 0_u32;
    while let Some(digit) = letter(next).and_then(|letter| char::from(letter).to_digit(base)) {
        value = value.wrapping_mul(base).wrapping_add(digit);
        next += 1;
    }
    k.write(a.va(2), if negative { value.wrapping_neg() } else { value })?;
    Ok(NtStatus::SUCCESS)
}
