//! The one formatter behind `DbgPrint` and the printf family, with Microsoft's format language.
//!
//! What a specification means depends on the routine: `%s` is a narrow string in `sprintf` and a wide one in `swprintf`, `%S` the other
//! one. `h`, `l` and `w` say which it is. Floating-point conversions do not exist in the kernel.

mod specification;

use ntlayout::unicode_string as counted;
use specification::{Specification, Width};

use super::unit::{Unit, read};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::code_page::Conversion,
};

/// What a null pointer to text is printed as.
const NULL_TEXT: &str = "(null)";

/// Where the values come from.
pub(crate) enum Arguments<'a> {
    /// The arguments of a variadic call, from an index on.
    Call(&'a Args, usize),
    /// A `va_list`: a pointer to slots of eight bytes, on x64.
    List(Va),
}

impl Arguments<'_> {
    fn next(&mut self, k: &Kernel) -> Outcome<u64> {
        match self {
            Self::Call(args, next) => {
                *next += 1;
                args.variadic(k, *next - 1)
            }
            Self::List(next) => {
                let value = k.read(*next)?;
                *next = *next + 8_u64;
                Ok(value)
            }
        }
    }
}

/// A unit that output consists of: knows how the other kind of text becomes its own.
pub(crate) trait Output: Unit + Conversion {
    /// Whether `%s` without a prefix is wide.
    const WIDE: bool;
}

impl Output for u8 {
    const WIDE: bool = false;
}

impl Output for u16 {
    const WIDE: bool = true;
}

/// Formats `template` for `routine`, which messages name.
///
/// # Errors
/// When an argument cannot be read, when text has to be converted above `PASSIVE_LEVEL`, or for a conversion that the kernel does not have.
pub(crate) fn format<T: Output>(
    k: &Kernel,
    routine: &'static str,
    template: &[T],
    mut arguments: Arguments<'_>,
) -> Outcome<Vec<T>> {
    let mut text = Vec::new();
    let mut rest = template.iter().copied();
    while let Some(unit) = rest.next() {
        if unit.ascii() != Some(b'%') {
            text.push(unit);
            continue;
        }
        let Some(mut specification) = Specification::read(&mut rest) else {
            break;
        };
        specification.take_stars(|| arguments.next(k))?;
        Formatter { k, routine }.convert(&specification, &mut arguments, &mut text)?;
    }
    Ok(text)
}

struct Formatter<'k> {
    k: &'k Kernel,
    routine: &'static str,
}

impl Formatter<'_> {
    fn convert<T: Output>(
        &self,
        specification: &Specification,
        arguments: &mut Arguments<'_>,
        text: &mut Vec<T>,
    ) -> Outcome<()> {
        let letter = specification.letter;
        let field = match letter {
            b'd' | b'i' | b'u' | b'o' | b'x' | b'X' | b'p' => {
                let number = specification.integer(arguments.next(self.k)?);
                text.extend(from_ascii::<T>(&number));
                return Ok(());
            }
            b'c' | b'C' => self.character(specification, arguments.next(self.k)?)?,
            b's' | b'S' => self.terminated(specification, Va(arguments.next(self.k)?))?,
            b'Z' => self.counted(specification, Va(arguments.next(self.k)?))?,
            b'a' | b'A' | b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'n' => {
                let what = format!(
                    "{} was given the conversion %{}, which the kernel's formatting does not support",
                    self.routine,
                    char::from(letter)
                );
                return Err(self.k.not_modelled(what));
            }
            // What is no conversion is text.
            other => vec![T::of(other.into())],
        };
        let missing = specification.width.saturating_sub(field.len());
        let filler = if specification.zeroes && !specification.left {
            b'0'
        } else {
            b' '
        };
        let padding = std::iter::repeat_n(T::of(filler.into()), missing);
        if specification.left {
            text.extend(field);
            text.extend(padding);
        } else {
            text.extend(padding);
            text.extend(field);
        }
        Ok(())
    }

    /// Whether the text is wide.
    fn is_wide<T: Output>(specification: &Specification) -> bool {
        match specification.text {
            Some(width) => width == Width::Wide,
            None => T::WIDE != specification.letter.is_ascii_uppercase(),
        }
    }

    fn character<T: Output>(&self, specification: &Specification, value: u64) -> Outcome<Vec<T>> {
        if Self::is_wide::<T>(specification) {
            self.of_wide(specification, &[u16::of(value)])
        } else {
            self.of_narrow(specification, &[u8::of(value)])
        }
    }

    fn terminated<T: Output>(&self, specification: &Specification, at: Va) -> Outcome<Vec<T>> {
        let limit = specification.precision.unwrap_or(usize::MAX);
        if at.is_null() {
            let text = from_ascii(NULL_TEXT);
            return Ok(text.into_iter().take(limit).collect());
        }
        if Self::is_wide::<T>(specification) {
            let text = read::<u16>(self.k, at, limit)?;
            self.of_wide(specification, &text)
        } else {
            let text = read::<u8>(self.k, at, limit)?;
            self.of_narrow(specification, &text)
        }
    }

    /// `%Z`: an `ANSI_STRING`, or with `w` or `l` a `UNICODE_STRING`. Both have the same layout.
    fn counted<T: Output>(&self, specification: &Specification, at: Va) -> Outcome<Vec<T>> {
        let k = self.k;
        if at.is_null() || k.read::<Va>(at + counted::BUFFER)?.is_null() {
            return Ok(from_ascii(NULL_TEXT));
        }
        let length: u16 = k.read(at + counted::LENGTH)?;
        let buffer: Va = k.read(at + counted::BUFFER)?;
        let bytes = match length {
            0 => Vec::new(),
            length => k.read_bytes(buffer, usize::from(length))?,
        };
        if specification.text == Some(Width::Wide) {
            let units: Vec<u16> = bytes
                .chunks_exact(2)
                .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                .collect();
            self.of_wide(specification, &units)
        } else {
            self.of_narrow(specification, &bytes)
        }
    }

    fn of_wide<T: Output>(&self, specification: &Specification, text: &[u16]) -> Outcome<Vec<T>> {
        if !T::WIDE {
            self.check_irql(specification)?;
        }
        Ok(T::from_wide(text))
    }

    fn of_narrow<T: Output>(&self, specification: &Specification, text: &[u8]) -> Outcome<Vec<T>> {
        if T::WIDE {
            self.check_irql(specification)?;
        }
        Ok(T::from_narrow(text))
    }

    /// The tables of the code page are pageable: as documented, Unicode conversions are for `PASSIVE_LEVEL`.
    fn check_irql(&self, specification: &Specification) -> Outcome<()> {
        let (k, irql) = (self.k, self.k.irql());
        let contract = Contract::exactly(Irql::PASSIVE);
        if contract.allows(irql) {
            return Ok(());
        }
        let what = format!(
            "{} with a Unicode conversion (%{}), which",
            self.routine, specification.written
        );
        Err(k.bugcheck(contract.violation(&what, irql)))
    }
}

fn from_ascii<T: Unit>(text: &str) -> Vec<T> {
    text.bytes().map(|byte| T::of(byte.into())).collect()
}

#[cfg(test)]
mod tests;
