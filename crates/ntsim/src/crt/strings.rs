//! Copying, comparing and searching terminated strings: `strcpy`, `wcscmp`, `strstr` and the like.

use std::cmp::Ordering;

use super::unit::{Unit, at, length, read, size, write, write_terminated};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// A string that ends at its terminator only.
const WHOLE: usize = usize::MAX;

pub(super) fn register(ddi: &mut Registry) {
    family::<u8>(ddi);
    family::<u16>(ddi);
}

fn family<T: Unit>(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function(T::pick("strlen", "wcslen"), 1, any, |k, a| {
        Ok(length::<T>(k, a.va(0), WHOLE)? as u64)
    });
    ddi.function(T::pick("strnlen", "wcsnlen"), 2, any, |k, a| {
        Ok(length::<T>(k, a.va(0), size(a.u64(1)))? as u64)
    });
    ddi.function(T::pick("strcpy", "wcscpy"), 2, any, |k, a| {
        let text = read::<T>(k, a.va(1), WHOLE)?;
        write_terminated(k, a.va(0), &text)?;
        Ok(a.va(0))
    });
    ddi.function(T::pick("strncpy", "wcsncpy"), 3, any, copy_counted::<T>);
    ddi.function(T::pick("strcat", "wcscat"), 2, any, |k, a| append::<T>(k, a, WHOLE));
    ddi.function(T::pick("strncat", "wcsncat"), 3, any, |k, a| {
        append::<T>(k, a, size(a.u64(2)))
    });
    ddi.function(T::pick("strcmp", "wcscmp"), 2, any, |k, a| {
        compare::<T>(k, a, WHOLE, |unit| unit)
    });
    ddi.function(T::pick("strncmp", "wcsncmp"), 3, any, |k, a| {
        compare::<T>(k, a, size(a.u64(2)), |unit| unit)
    });
    ddi.function(T::pick("_stricmp", "_wcsicmp"), 2, any, |k, a| {
        compare::<T>(k, a, WHOLE, T::lower)
    });
    ddi.function(T::pick("_strnicmp", "_wcsnicmp"), 3, any, |k, a| {
        compare::<T>(k, a, size(a.u64(2)), T::lower)
    });
    ddi.function(T::pick("strchr", "wcschr"), 2, any, find_first::<T>);
    ddi.function(T::pick("strrchr", "wcsrchr"), 2, any, find_last::<T>);
    ddi.function(T::pick("strstr", "wcsstr"), 2, any, find_text::<T>);
    ddi.function(T::pick("strspn", "wcsspn"), 2, any, |k, a| span::<T>(k, a, true));
    ddi.function(T::pick("strcspn", "wcscspn"), 2, any, |k, a| span::<T>(k, a, false));
    ddi.function(T::pick("strpbrk", "wcspbrk"), 2, any, |k, a| {
        let before = size(span::<T>(k, a, false)?);
        let found = at::<T>(a.va(0), before);
        let at_end = k.read::<T>(found)? == T::ZERO;
        Ok(if at_end { Va::NULL } else { found })
    });
    ddi.function(T::pick("_strrev", "_wcsrev"), 1, any, |k, a| {
        let mut text = read::<T>(k, a.va(0), WHOLE)?;
        text.reverse();
        write(k, a.va(0), &text)?;
        Ok(a.va(0))
    });
    ddi.function(T::pick("_strset", "_wcsset"), 2, any, |k, a| set::<T>(k, a, WHOLE));
    ddi.function(T::pick("_strnset", "_wcsnset"), 3, any, |k, a| {
        set::<T>(k, a, size(a.u64(2)))
    });
}

/// `strncpy`: a short source is filled up with terminators; a long one leaves the destination without one.
fn copy_counted<T: Unit>(k: &Kernel, a: &Args) -> Outcome<Va> {
    let count = size(a.u64(2));
    let text = read::<T>(k, a.va(1), count)?;
    write(k, a.va(0), &text)?;
    for index in text.len()..count {
        k.write(at::<T>(a.va(0), index), T::ZERO)?;
    }
    Ok(a.va(0))
}

/// `strcat`, `strncat`: the result always has a terminator.
fn append<T: Unit>(k: &Kernel, a: &Args, limit: usize) -> Outcome<Va> {
    let text = read::<T>(k, a.va(1), limit)?;
    let end = length::<T>(k, a.va(0), WHOLE)?;
    write_terminated(k, at::<T>(a.va(0), end), &text)?;
    Ok(a.va(0))
}

/// -1, 0 or 1: the order of the first `limit` characters after `fold`.
fn compare<T: Unit>(k: &Kernel, a: &Args, limit: usize, fold: fn(T) -> T) -> Outcome<i32> {
    for index in 0..limit {
        let first = fold(k.read::<T>(at::<T>(a.va(0), index))?);
        let second = fold(k.read::<T>(at::<T>(a.va(1), index))?);
        match first.cmp(&second) {
            Ordering::Equal if first == T::ZERO => break,
            Ordering::Equal => {}
            different => return Ok(different as i32),
        }
    }
    Ok(0)
}

/// `strchr`: the terminator counts as a character.
fn find_first<T: Unit>(k: &Kernel, a: &Args) -> Outcome<Va> {
    let wanted = T::of(a.u64(1));
    for index in 0.. {
        match k.read::<T>(at::<T>(a.va(0), index))? {
            unit if unit == wanted => return Ok(at::<T>(a.va(0), index)),
            unit if unit == T::ZERO => break,
            _ => {}
        }
    }
    Ok(Va::NULL)
}

/// `strrchr`: the terminator counts as a character.
fn find_last<T: Unit>(k: &Kernel, a: &Args) -> Outcome<Va> {
    let wanted = T::of(a.u64(1));
    let mut text = read::<T>(k, a.va(0), WHOLE)?;
    text.push(T::ZERO);
    let found = text.iter().rposition(|&unit| unit == wanted);
    Ok(found.map_or(Va::NULL, |index| at::<T>(a.va(0), index)))
}

fn find_text<T: Unit>(k: &Kernel, a: &Args) -> Outcome<Va> {
    let text = read::<T>(k, a.va(0), WHOLE)?;
    let wanted = read::<T>(k, a.va(1), WHOLE)?;
    let found = (0..=text.len()).find(|&start| text[start..].starts_with(&wanted));
    Ok(found.map_or(Va::NULL, |index| at::<T>(a.va(0), index)))
}

/// How many characters at the start are among those of the second string (`among`), or are not.
fn span<T: Unit>(k: &Kernel, a: &Args, among: bool) -> Outcome<u64> {
    let set = read::<T>(k, a.va(1), WHOLE)?;
    let text = read::<T>(k, a.va(0), WHOLE)?;
    let length = text.iter().take_while(|unit| set.contains(unit) == among).count();
    Ok(length as u64)
}

fn set<T: Unit>(k: &Kernel, a: &Args, limit: usize) -> Outcome<Va> {
    let length = length::<T>(k, a.va(0), limit)?;
    write(k, a.va(0), &vec![T::of(a.u64(1)); length])?;
    Ok(a.va(0))
}
