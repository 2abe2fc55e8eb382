//! `DbgPrint` and `DbgPrintEx`: the driver's debug output becomes part of the trace.

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
    trace::Event,
};

/// `DbgPrint` passes on this much at a time.
const LONGEST: usize = 512;

/// What fills a field that is wider than its text.
enum Padding {
    /// Spaces in front.
    Spaces,
    /// Zeroes in front.
    Zeroes,
    /// Spaces behind.
    Behind,
}

/// A conversion specification: what follows a percent sign.
struct Conversion {
    /// The letter that says what to print.
    letter: u8,
    width: usize,
    precision: Option<usize>,
    padding: Padding,
    alternate: bool,
    wide: bool,
    /// The argument has 64 bits.
    long: bool,
}

impl Conversion {
    /// Reads a specification up to its letter; `None` when the template ends within it.
    fn read(template: &mut impl Iterator<Item = u8>) -> Option<Self> {
        let mut spec = Self {
            letter: 0,
            width: 0,
            precision: None,
            padding: Padding::Spaces,
            alternate: false,
            wide: false,
            long: false,
        };
        let mut earlier = 0;
        loop {
            let byte = template.next()?;
            match byte {
                // The digits of Windows' I64 prefix.
                b'6' if earlier == b'I' => {}
                b'4' if earlier == b'6' && spec.long => {}
                b'0' if spec.width == 0 && spec.precision.is_none() => spec.padding = Padding::Zeroes,
                b'0'..=b'9' => spec.digit(usize::from(byte - b'0')),
                b'-' => spec.padding = Padding::Behind,
                b'#' => spec.alternate = true,
                b'.' => spec.precision = Some(0),
                b'I' => spec.long = true,
                b'l' => spec.long |= earlier == b'l',
                b'w' => spec.wide = true,
                b'h' | b'z' | b'+' | b' ' => {}
                letter => {
                    spec.letter = letter;
                    return Some(spec);
                }
            }
            earlier = byte;
        }
    }

    fn digit(&mut self, digit: usize) {
        let number = self.precision.as_mut().unwrap_or(&mut self.width);
        *number = *number * 10 + digit;
    }
}

/// Reads a zero-terminated string of at most `limit` characters.
fn read_c_string(k: &Kernel, text: Va, limit: usize) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        match k.read::<u8>(text + bytes.len())? {
            0 => break,
            byte => bytes.push(byte),
        }
    }
    Ok(bytes)
}

/// Formats as printf does, with Windows' extensions `%wZ`, `%ws`, `%I64`.
fn format(k: &Kernel, template: &[u8], args: &Args, first: usize) -> Outcome<String> {
    let mut text = String::new();
    let mut next = first;
    let mut template = template.iter().copied();
    while let Some(byte) = template.next() {
        if byte != b'%' {
            text.push(char::from(byte));
            continue;
        }
        match Conversion::read(&mut template) {
            None => break,
            Some(Conversion { letter: b'%', .. }) => text.push('%'),
            Some(spec) => {
                let value = args.variadic(k, next)?;
                next += 1;
                text.push_str(&pad(&convert(k, &spec, value)?, &spec));
            }
        }
    }
    Ok(text)
}

fn pad(text: &str, spec: &Conversion) -> String {
    let width = spec.width;
    match spec.padding {
        Padding::Spaces => format!("{text:>width$}"),
        Padding::Zeroes => format!("{text:0>width$}"),
        Padding::Behind => format!("{text:<width$}"),
    }
}

fn convert(k: &Kernel, spec: &Conversion, value: u64) -> Outcome<String> {
    let low = (value & 0xFFFF_FFFF) as u32;
    let (number, signed) = if spec.long {
        (value, value.cast_signed())
    } else {
        (u64::from(low), i64::from(low.cast_signed()))
    };
    let limit = spec.precision.unwrap_or(LONGEST);
    Ok(match spec.letter {
        b'd' | b'i' => signed.to_string(),
        b'u' => number.to_string(),
        b'x' if spec.alternate => format!("{number:#x}"),
        b'x' => format!("{number:x}"),
        b'X' => format!("{number:X}"),
        b'p' => format!("{value:016X}"),
        b'c' => char::from((value & 0xFF) as u8).to_string(),
        b'Z' if spec.wide => unicode_string::read(k, Va(value))?,
        b'S' => read_wide(k, Va(value), limit)?,
        b's' if spec.wide => read_wide(k, Va(value), limit)?,
        b's' => String::from_utf8_lossy(&read_c_string(k, Va(value), limit)?).into_owned(),
        other => format!("%{}?", char::from(other)),
    })
}

/// Reads a zero-terminated UTF-16 string of at most `limit` units.
fn read_wide(k: &Kernel, text: Va, limit: usize) -> Outcome<String> {
    let mut units = Vec::new();
    while units.len() < limit {
        match k.read::<u16>(text + units.len() * 2)? {
            0 => break,
            unit => units.push(unit),
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

fn print(k: &Kernel, template: Va, args: &Args, first: usize) -> Outcome<NtStatus> {
    let template = read_c_string(k, template, LONGEST)?;
    let text = format(k, &template, args, first)?;
    k.trace(Event::Printed(text));
    Ok(NtStatus::SUCCESS)
}

/// Adds this component's exports. The documentation allows them up to DIRQL.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql(12));
    ddi.function("DbgPrint", 1, contract, |k, args| print(k, args.va(0), args, 1));
    ddi.function("DbgPrintEx", 3, contract, |k, args| print(k, args.va(2), args, 3));
}
