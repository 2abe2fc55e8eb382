//! The printf family: `sprintf`, `_snprintf`, `_vsnwprintf`, `swprintf_s` and the like.

use super::{
    format::{Arguments, Output, format},
    unit::{Unit, at, read, size, write, write_terminated},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
};

/// What the routines return that did not print all.
const FAILED: i32 = -1;

/// `_TRUNCATE`: what does not fit is cut off.
const TRUNCATE: usize = usize::MAX;

/// A member of the family: where its arguments are.
#[derive(Clone, Copy)]
struct Routine {
    name: &'static str,
    /// Parameters before the format.
    before: usize,
    /// The values come in a `va_list`.
    list: bool,
}

impl Routine {
    const fn new(name: &'static str, before: usize, list: bool) -> Self {
        Self { name, before, list }
    }

    fn add(self, ddi: &mut Registry, body: fn(&Kernel, &Args, Self) -> Outcome<i32>) {
        let arity = self.before + 1 + usize::from(self.list);
        ddi.function(self.name, arity, Contract::ANY, move |k, a| body(k, a, self));
    }

    /// What is to be printed.
    fn text<T: Output>(self, k: &Kernel, a: &Args) -> Outcome<Vec<T>> {
        let template = read::<T>(k, a.va(self.before), usize::MAX)?;
        let after = self.before + 1;
        let arguments = if self.list {
            Arguments::List(a.va(after))
        } else {
            Arguments::Call(a, after)
        };
        format(k, self.name, &template, arguments)
    }
}

pub(super) fn register(ddi: &mut Registry) {
    for (name, list) in [("sprintf", false), ("vsprintf", true)] {
        Routine::new(name, 1, list).add(ddi, unbounded::<u8>);
    }
    for (name, list) in [
        ("swprintf", false),
        ("_swprintf", false),
        ("vswprintf", true),
        ("_vswprintf", true),
    ] {
        Routine::new(name, 1, list).add(ddi, unbounded::<u16>);
    }
    family::<u8>(ddi);
    family::<u16>(ddi);
}

fn family<T: Output>(ddi: &mut Registry) {
    for (narrow, wide, list) in [("_snprintf", "_snwprintf", false), ("_vsnprintf", "_vsnwprintf", true)] {
        Routine::new(T::pick(narrow, wide), 2, list).add(ddi, bounded::<T>);
    }
    for (narrow, wide, list) in [("sprintf_s", "swprintf_s", false), ("vsprintf_s", "vswprintf_s", true)] {
        Routine::new(T::pick(narrow, wide), 2, list).add(ddi, |k, a, routine| {
            checked::<T>(k, a, routine, size(a.u64(1)).saturating_sub(1), false)
        });
    }
    for (narrow, wide, list) in [
        ("_snprintf_s", "_snwprintf_s", false),
        ("_vsnprintf_s", "_vsnwprintf_s", true),
    ] {
        Routine::new(T::pick(narrow, wide), 3, list)
            .add(ddi, |k, a, routine| checked::<T>(k, a, routine, size(a.u64(2)), true));
    }
    for (narrow, wide, list) in [("_scprintf", "_scwprintf", false), ("_vscprintf", "_vscwprintf", true)] {
        Routine::new(T::pick(narrow, wide), 0, list).add(ddi, |k, a, routine| Ok(count(&routine.text::<T>(k, a)?)));
    }
}

fn count<T>(text: &[T]) -> i32 {
    i32::try_from(text.len()).unwrap_or(FAILED)
}

/// `sprintf(buffer, format, …)`: whatever room there is.
fn unbounded<T: Output>(k: &Kernel, a: &Args, routine: Routine) -> Outcome<i32> {
    let text = routine.text::<T>(k, a)?;
    write_terminated(k, a.va(0), &text)?;
    Ok(count(&text))
}

/// `_snprintf(buffer, count, format, …)`: text that fills the buffer has no terminator; text that does not fit is cut off, and -1 returned.
fn bounded<T: Output>(k: &Kernel, a: &Args, routine: Routine) -> Outcome<i32> {
    let text = routine.text::<T>(k, a)?;
    let room = size(a.u64(1));
    if a.va(0).is_null() && room == 0 {
        return Ok(count(&text));
    }
    write(k, a.va(0), &text[..text.len().min(room)])?;
    if text.len() < room {
        k.write(at::<T>(a.va(0), text.len()), T::ZERO)?;
    }
    Ok(if text.len() > room { FAILED } else { count(&text) })
}

/// `sprintf_s(buffer, size, format, …)`, `_snprintf_s(buffer, size, count, format, …)`: there is always a terminator. When the buffer has
/// no room, the text in it is empty; when it is `limit` or `_TRUNCATE` that cuts text off and the routine has one, what fits stays.
fn checked<T: Output>(k: &Kernel, a: &Args, routine: Routine, limit: usize, cuts: bool) -> Outcome<i32> {
    let (buffer, room) = (a.va(0), size(a.u64(1)));
    if buffer.is_null() || room == 0 {
        return Ok(if cuts && limit == 0 && buffer.is_null() && room == 0 {
            0
        } else {
            FAILED
        });
    }
    if a.va(routine.before).is_null() {
        k.write(buffer, T::ZERO)?;
        return Ok(FAILED);
    }
    let text = routine.text::<T>(k, a)?;
    let kept = text.len().min(limit);
    if kept < room && (cuts || kept == text.len()) {
        write_terminated(k, buffer, &text[..kept])?;
        return Ok(if kept < text.len() { FAILED } else { count(&text) });
    }
    if cuts && limit == TRUNCATE {
        write_terminated(k, buffer, &text[..room - 1])?;
    } else {
        k.write(buffer, <T as Unit>::ZERO)?;
    }
    Ok(FAILED)
}
