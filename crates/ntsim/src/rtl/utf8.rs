//! UTF-8 and UTF-16, with what is in neither replaced.

use std::char::{REPLACEMENT_CHARACTER, decode_utf16};

/// UTF-16 of UTF-8, and whether all of it was valid.
pub(super) fn decode(bytes: &[u8]) -> (Vec<u16>, bool) {
    let whole = std::str::from_utf8(bytes).is_ok();
    let units = String::from_utf8_lossy(bytes).encode_utf16().collect();
    (units, whole)
}

/// UTF-8 of UTF-16, and whether all of it was valid.
pub(super) fn encode(units: &[u16]) -> (Vec<u8>, bool) {
    let mut whole = true;
    let text: String = decode_utf16(units.iter().copied())
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                whole = false;
                REPLACEMENT_CHARACTER
            })
        })
        .collect();
    (text.into_bytes(), whole)
}
