//! The forms with `_s`, which know how much room there is: `strcpy_s`, `wcscat_s`, `strtok_s` and the like.
//!
//! What does not fit leaves an empty string and an error code; nothing is stopped, as the kernel has no invalid parameter handler.

use super::unit::{Unit, at, length, read, size, write, write_terminated};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// `EINVAL`.
pub(super) const EINVAL: i32 = 22;
/// `ERANGE`.
pub(super) const ERANGE: i32 = 34;
/// `STRUNCATE`.
const STRUNCATE: i32 = 80;

/// `_TRUNCATE`: what does not fit is cut off.
const TRUNCATE: usize = usize::MAX;

pub(super) fn register(ddi: &mut Registry) {
    family::<u8>(ddi);
    family::<u16>(ddi);
}

fn family<T: Unit>(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function(T::pick("strcpy_s", "wcscpy_s"), 3, any, |k, a| copy::<T>(k, a, None));
    ddi.function(T::pick("strncpy_s", "wcsncpy_s"), 4, any, |k, a| {
        copy::<T>(k, a, Some(size(a.u64(3))))
    });
    ddi.function(T::pick("strcat_s", "wcscat_s"), 3, any, |k, a| append::<T>(k, a, None));
    ddi.function(T::pick("strncat_s", "wcsncat_s"), 4, any, |k, a| {
        append::<T>(k, a, Some(size(a.u64(3))))
    });
    ddi.function(T::pick("_strlwr_s", "_wcslwr_s"), 2, any, |k, a| {
        change::<T>(k, a, |_, unit| unit.lower())
    });
    ddi.function(T::pick("_strupr_s", "_wcsupr_s"), 2, any, |k, a| {
        change::<T>(k, a, |_, unit| unit.upper())
    });
    ddi.function(T::pick("_strset_s", "_wcsset_s"), 3, any, |k, a| {
        change::<T>(k, a, |_, _| T::of(a.u64(2)))
    });
    ddi.function(T::pick("_strnset_s", "_wcsnset_s"), 4, any, |k, a| {
        let count = size(a.u64(3));
        change::<T>(k, a, |index, unit| if index < count { T::of(a.u64(2)) } else { unit })
    });
    ddi.function(T::pick("strtok_s", "wcstok_s"), 3, any, token::<T>);
}

/// Leaves an empty string at `to`, and gives the error.
fn refuse<T: Unit>(k: &Kernel, to: Va, error: i32) -> Outcome<i32> {
    k.write(to, T::ZERO)?;
    Ok(error)
}

/// `strcpy_s(dest, size, src)`, `strncpy_s(dest, size, src, count)`.
fn copy<T: Unit>(k: &Kernel, a: &Args, count: Option<usize>) -> Outcome<i32> {
    let (to, room) = (a.va(0), size(a.u64(1)));
    if count == Some(0) && to.is_null() && room == 0 {
        return Ok(0);
    }
    if to.is_null() || room == 0 {
        return Ok(EINVAL);
    }
    if count == Some(0) {
        return refuse::<T>(k, to, 0);
    }
    put::<T>(k, a, to, room, count)
}

/// `strcat_s(dest, size, src)`, `strncat_s(dest, size, src, count)`.
fn append<T: Unit>(k: &Kernel, a: &Args, count: Option<usize>) -> Outcome<i32> {
    let (to, room) = (a.va(0), size(a.u64(1)));
    if count == Some(0) && to.is_null() && room == 0 {
        return Ok(0);
    }
    if to.is_null() || room == 0 {
        return Ok(EINVAL);
    }
    let before = length::<T>(k, to, room)?;
    if before == room {
        return refuse::<T>(k, to, EINVAL);
    }
    if count == Some(0) {
        return Ok(0);
    }
    put::<T>(k, a, at::<T>(to, before), room - before, count)
}

/// Writes the source to `to`, where there is room for `room` characters; on failure the destination becomes an empty string.
fn put<T: Unit>(k: &Kernel, a: &Args, to: Va, room: usize, count: Option<usize>) -> Outcome<i32> {
    let from = a.va(2);
    if from.is_null() {
        return refuse::<T>(k, a.va(0), EINVAL);
    }
    let truncates = count == Some(TRUNCATE);
    let text = read::<T>(k, from, count.unwrap_or(usize::MAX).min(room))?;
    if text.len() < room {
        write_terminated(k, to, &text)?;
        return Ok(0);
    }
    if truncates {
        write_terminated(k, to, &text[..room - 1])?;
        return Ok(STRUNCATE);
    }
    refuse::<T>(k, a.va(0), ERANGE)
}

/// `_strlwr_s(str, size)` and the like: changes each character, given its index.
fn change<T: Unit>(k: &Kernel, a: &Args, change: impl Fn(usize, T) -> T) -> Outcome<i32> {
    let (text, room) = (a.va(0), size(a.u64(1)));
    if text.is_null() {
        return Ok(EINVAL);
    }
    let units = read::<T>(k, text, room)?;
    if units.len() == room {
        if room > 0 {
            k.write(text, T::ZERO)?;
        }
        return Ok(EINVAL);
    }
    let changed: Vec<T> = units
        .into_iter()
        .enumerate()
        .map(|(index, unit)| change(index, unit))
        .collect();
    write(k, text, &changed)?;
    Ok(0)
}

/// `strtok_s(str, delimiters, context)`: the context is where the search goes on.
fn token<T: Unit>(k: &Kernel, a: &Args) -> Outcome<Va> {
    let context = a.va(2);
    if context.is_null() || a.va(1).is_null() {
        return Ok(Va::NULL);
    }
    let delimiters = read::<T>(k, a.va(1), usize::MAX)?;
    let mut start = if a.va(0).is_null() { k.read(context)? } else { a.va(0) };
    if start.is_null() {
        return Ok(Va::NULL);
    }
    let text = read::<T>(k, start, usize::MAX)?;
    let skipped = text.iter().take_while(|unit| delimiters.contains(unit)).count();
    start = at::<T>(start, skipped);
    let rest = &text[skipped..];
    let length = rest.iter().take_while(|unit| !delimiters.contains(unit)).count();
    let end = at::<T>(start, length);
    if length < rest.len() {
        k.write(end, T::ZERO)?;
        k.write(context, at::<T>(end, 1))?;
    } else {
        k.write(context, end)?;
    }
    Ok(if length == 0 { Va::NULL } else { start })
}
