//! Comparing counted strings: `RtlCompareUnicodeString`, `RtlEqualString`, `RtlPrefixUnicodeString` and the like; `RtlHashUnicodeString`
//! and `RtlValidateUnicodeString`.

use super::{
    case_mapping::upcase,
    code_page,
    counted::{APC, Counted, PASSIVE, read_bytes, units, units_at},
};
use crate::{
    bugcheck::Outcome,
    crt::Unit,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// A character whose case the system's tables know.
pub(super) trait Cased: Unit {
    /// The character in upper case.
    fn upcase(self) -> Self;
}

impl Cased for u16 {
    fn upcase(self) -> Self {
        upcase(self)
    }
}

impl Cased for u8 {
    fn upcase(self) -> Self {
        let upper = code_page::narrow(upcase(code_page::widen(self)));
        // A letter whose upper case the code page lacks stays.
        if upper == b'?' { self } else { upper }
    }
}

pub(super) fn register(ddi: &mut Registry) {
    family::<u8>(ddi);
    family::<u16>(ddi);
    ddi.function("RtlSuffixUnicodeString", 3, PASSIVE, |k, a| {
        let (suffix, text) = both::<u16>(k, a)?;
        Ok(text.ends_with(&suffix))
    });
    ddi.function("RtlCompareUnicodeStrings", 5, PASSIVE, |k, a| {
        let text = |at: Va, length: u64| -> Outcome<Vec<u16>> {
            let bytes = usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(2);
            Ok(fold(units(&read_bytes(k, at, bytes)?), a.bool(4)))
        };
        let (first, second) = (text(a.va(0), a.u64(1))?, text(a.va(2), a.u64(3))?);
        Ok(difference(&first, &second))
    });
    ddi.function("RtlHashUnicodeString", 4, APC, hash);
    ddi.function("RtlValidateUnicodeString", 2, Contract::ANY, validate);
}

fn family<T: Cased>(ddi: &mut Registry) {
    ddi.function(
        T::pick("RtlCompareString", "RtlCompareUnicodeString"),
        3,
        PASSIVE,
        |k, a| {
            let (first, second) = both::<T>(k, a)?;
            Ok(difference(&first, &second))
        },
    );
    ddi.function(
        T::pick("RtlEqualString", "RtlEqualUnicodeString"),
        3,
        PASSIVE,
        |k, a| {
            let (first, second) = both::<T>(k, a)?;
            Ok(first == second)
        },
    );
    ddi.function(
        T::pick("RtlPrefixString", "RtlPrefixUnicodeString"),
        3,
        PASSIVE,
        |k, a| {
            let (prefix, text) = both::<T>(k, a)?;
            Ok(text.starts_with(&prefix))
        },
    );
}

/// The two strings of a call `(String1, String2, CaseInSensitive)`, in upper case when case does not matter.
fn both<T: Cased>(k: &Kernel, a: &Args) -> Outcome<(Vec<T>, Vec<T>)> {
    let text = |index| Ok(fold(units_at::<T>(k, a.va(index))?, a.bool(2)));
    Ok((text(0)?, text(1)?))
}

fn fold<T: Cased>(text: Vec<T>, folds: bool) -> Vec<T> {
    if folds {
        text.into_iter().map(T::upcase).collect()
    } else {
        text
    }
}

/// Negative, zero or positive: the difference of the first characters that differ, or else of the lengths.
fn difference<T: Unit>(first: &[T], second: &[T]) -> i32 {
    let number = |unit: T| i64::from(unit.into());
    let length = |text: &[T]| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let differing = first.iter().zip(second).find(|(one, other)| one != other);
    let difference = match differing {
        Some((&one, &other)) => number(one) - number(other),
        None => length(first) - length(second),
    };
    i32::try_from(difference).unwrap_or(if difference < 0 { i32::MIN } else { i32::MAX })
}

/// `RtlHashUnicodeString(String, CaseInSensitive, HashAlgorithm, HashValue)`: the X65599 algorithm, which is the default too.
fn hash(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const DEFAULT: u32 = 0;
    const X65599: u32 = 1;
    if a.va(0).is_null() || a.va(3).is_null() || !matches!(a.u32(2), DEFAULT | X65599) {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let text = fold(units_at::<u16>(k, a.va(0))?, a.bool(1));
    let hash = text
        .iter()
        .fold(0_u32, |hash, &unit| hash.wrapping_mul(65599).wrapping_add(unit.into()));
    k.write(a.va(3), hash)?;
    Ok(NtStatus::SUCCESS)
}

/// `RtlValidateUnicodeString(Flags, SourceString)`.
fn validate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    if a.u32(0) != 0 {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    if a.va(1).is_null() {
        return Ok(NtStatus::SUCCESS);
    }
    let string = Counted::read(k, a.va(1))?;
    let even = string.length.is_multiple_of(2) && string.maximum.is_multiple_of(2);
    let backed = !string.buffer.is_null() || (string.length == 0 && string.maximum == 0);
    let valid = even && backed && string.length <= string.maximum;
    Ok(if valid {
        NtStatus::SUCCESS
    } else {
        NtStatus::INVALID_PARAMETER
    })
}
