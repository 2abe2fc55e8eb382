//! The C run-time library that the kernel exports.
//!
//! The `str` and the `wcs` form of a routine are one generic function over `Unit`, the kind of character. Where characters have case or
//! class, the rules are those of the C locale.

mod case;
pub(crate) mod format;
mod memory;
mod multibyte;
mod numbers;
mod print;
mod random;
mod runtime;
mod search;
mod secure;
mod strings;
mod unit;

pub(crate) use unit::{Unit, length, read};

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    case::register(ddi);
    memory::register(ddi);
    multibyte::register(ddi);
    numbers::register(ddi);
    print::register(ddi);
    random::register(ddi);
    runtime::register(ddi);
    search::register(ddi);
    secure::register(ddi);
    strings::register(ddi);
}

#[cfg(test)]
mod tests;
