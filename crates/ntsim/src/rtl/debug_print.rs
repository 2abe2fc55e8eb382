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

/// A conversion specification: what follows a percent sign.
#[derive(Default)]
struct Conversion {
    width: usize,
    zero_padded: bool,
    left: bool,
    alternate: bool,
    bytes: u32,
    precision: Option<usize>,
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
    let mut rest = template.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            text.push(char::from(byte));
            continue;
        }
        let mut spec = Conversion {
            bytes: 4,
            ..Conversion::default()
        };
        let mut wide = false;
        while let Some(byte) = rest.next() {
            match byte {
                b'%' => text.push('%'),
                b'-' => spec.left = true,
                b'#' => spec.alternate = true,
                b'0' if spec.width == 0 && spec.precision.is_none() => spec.zero_padded = true,
                b'0'..=b'9' => {
                    let digit = usize::from(byte - b'0');
                    match &mut spec.precision {
                        Some(precision) => *precision = *precision * 10 + digit,
                        None => spec.width = spec.width * 10 + digit,
                    }
                }
                b'.' => spec.precision = Some(0),
                b'l' => {
                    if rest.peek() == Some(&b'l') {
                        rest.next();
                        spec.bytes = 8;
                    }
                }
                b'I' => {
                    if rest.peek() == Some(&b'6') {
                        rest.next();
                        rest.next();
                    }
                    spec.bytes = 8;
                }
                b'w' => wide = true,
                b'h' | b'z' | b'+' | b' ' => {}
                conversion => {
                    let value = args.variadic(k, next)?;
                    next += 1;
                    let formatted = convert(k, conversion, wide, &spec, value)?;
                    text.push_str(&pad(&formatted, &spec));
                }
            }
            if !matches!(
                byte,
                b'-' | b'#' | b'0'..=b'9' | b'.' | b'l' | b'I' | b'w' | b'h' | b'z' | b'+' | b' '
            ) {
                break;
            }
        }
    }
    Ok(text)
}

fn pad(text: &str, spec: &Conversion) -> String {
    let width = spec.width;
    if spec.left {
        format!("{text:<width$}")
    } else if spec.zero_padded {
        format!("{text:0>width$}")
    } else {
        format!("{text:>width$}")
    }
}

fn convert(k: &Kernel, conversion: u8, wide: bool, spec: &Conversion, value: u64) -> Outcome<String> {
    let number = if spec.bytes == 8 { value } else { value & 0xFFFF_FFFF };
    let signed = if spec.bytes == 8 {
        value.cast_signed()
    } else {
        i64::from(((value & 0xFFFF_FFFF) as u32).cast_signed())
    };
    Ok(match conversion {
        b'd' | b'i' => signed.to_string(),
        b'u' => number.to_string(),
        b'x' if spec.alternate => format!("{number:#x}"),
        b'x' => format!("{number:x}"),
        b'X' => format!("{number:X}"),
        b'p' => format!("{value:016X}"),
        b'c' => char::from((value & 0xFF) as u8).to_string(),
        b'Z' if wide => unicode_string::read(k, Va(value))?,
        b's' if !wide => {
            let limit = spec.precision.unwrap_or(LONGEST);
            String::from_utf8_lossy(&read_c_string(k, Va(value), limit)?).into_owned()
        }
        other => format!("%{}?", char::from(other)),
    })
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
