//! Counted strings: `RtlInitUnicodeString`, `RtlCopyUnicodeString`, `RtlFreeUnicodeString`.

use ntlayout::unicode_string::{BUFFER, LENGTH, MAXIMUM_LENGTH, SIZE};

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
};

/// The most bytes that `RtlInitUnicodeString` counts.
const LONGEST: u16 = 0xFFFC;

/// Reads a `UNICODE_STRING`.
///
/// # Errors
/// When it or its buffer cannot be read.
pub fn read(k: &Kernel, string: Va) -> Outcome<String> {
    let length: u16 = k.read(string + LENGTH)?;
    let buffer: Va = k.read(string + BUFFER)?;
    if length == 0 {
        return Ok(String::new());
    }
    let bytes = k.read_bytes(buffer, usize::from(length))?;
    Ok(decode(&bytes))
}

/// Reads a string of UTF-16 up to its terminator.
///
/// # Errors
/// When it cannot be read.
pub fn read_terminated(k: &Kernel, start: Va) -> Outcome<String> {
    let length = terminated_length(k, start)?;
    Ok(decode(&match length {
        0 => Vec::new(),
        length => k.read_bytes(start, length)?,
    }))
}

/// How many bytes come before the terminator of the string at `start`.
fn terminated_length(k: &Kernel, start: Va) -> Outcome<usize> {
    let mut length = 0;
    while k.read::<u16>(start + length)? != 0 {
        length += 2;
    }
    Ok(length)
}

pub(crate) fn decode(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    String::from_utf16_lossy(&units)
}

/// The bytes of a string in UTF-16, without a terminator.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Fills in a `UNICODE_STRING` whose buffer is allocated from the system's pool and holds `text` with a terminator.
///
/// # Errors
/// When the structure cannot be written.
///
/// # Panics
/// When the text is longer than such a string can be.
pub fn write_new(k: &Kernel, string: Va, text: &str) -> Outcome<()> {
    let bytes = encode(text);
    let buffer = k.allocate_system(bytes.len() + 2, "UNICODE_STRING buffer")?;
    k.write_bytes(buffer, &bytes)?;
    let length = u16::try_from(bytes.len()).expect("a counted string is short");
    write(k, string, length, length + 2, buffer)
}

pub(super) fn write(k: &Kernel, string: Va, length: u16, maximum: u16, buffer: Va) -> Outcome<()> {
    k.fill(string, 0, SIZE)?;
    k.write(string + LENGTH, length)?;
    k.write(string + MAXIMUM_LENGTH, maximum)?;
    k.write(string + BUFFER, buffer)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let at_dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("RtlInitUnicodeString", 2, at_dispatch, |k, args| {
        let source = args.va(1);
        let length = if source.is_null() {
            0
        } else {
            // As documented, a longer string is cut off.
            u16::try_from(terminated_length(k, source)?).unwrap_or(LONGEST)
        };
        let maximum = if source.is_null() { 0 } else { length + 2 };
        write(k, args.va(0), length, maximum, source)
    });
    ddi.function("RtlCopyUnicodeString", 2, at_dispatch, |k, args| {
        let (destination, source) = (args.va(0), args.va(1));
        if source.is_null() {
            return k.write(destination + LENGTH, 0_u16);
        }
        let room: u16 = k.read(destination + MAXIMUM_LENGTH)?;
        let length: u16 = k.read(source + LENGTH)?;
        let copied = length.min(room);
        let from: Va = k.read(source + BUFFER)?;
        let to: Va = k.read(destination + BUFFER)?;
        let bytes = k.read_bytes(from, usize::from(copied))?;
        k.write_bytes(to, &bytes)?;
        if copied + 2 <= room {
            k.write(to + u64::from(copied), 0_u16)?;
        }
        k.write(destination + LENGTH, copied)
    });
    // As documented, at APC_LEVEL or below: the buffer may be paged pool.
    ddi.function(
        "RtlFreeUnicodeString",
        1,
        Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_RTL_PASSIVE),
        |k, args| free(k, args.va(0)),
    );
}

/// Frees a string's buffer, if it has one, and clears the string.
pub(super) fn free(k: &Kernel, string: Va) -> Outcome<()> {
    let buffer: Va = k.read(string + BUFFER)?;
    if !buffer.is_null() {
        k.free_system(buffer)?;
        k.fill(string, 0, SIZE)?;
    }
    Ok(())
}
