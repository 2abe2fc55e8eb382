//! The system's code page: Windows-1252, as on an English Windows. It is the ANSI code page and the OEM code page at once.
//!
//! A character that it lacks becomes a question mark; no similar one is looked for.

/// What a narrow character becomes that the code page lacks.
const DEFAULT: u8 = b'?';

/// The characters from 0x80 on to 0x9F, where Windows-1252 and Unicode differ. The bytes that it leaves free stand for themselves.
const UPPER_CONTROLS: [u16; 32] = [
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D,
    0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
    0x0153, 0x009D, 0x017E, 0x0178,
];

/// A narrow character in UTF-16.
#[must_use]
pub(crate) fn widen(byte: u8) -> u16 {
    match byte {
        0x80..=0x9F => UPPER_CONTROLS[usize::from(byte - 0x80)],
        _ => byte.into(),
    }
}

/// A character of UTF-16 in the code page.
#[must_use]
pub(crate) fn narrow(unit: u16) -> u8 {
    if let Some(index) = UPPER_CONTROLS.iter().position(|&other| other == unit) {
        return 0x80 + u8::try_from(index).expect("there are 32");
    }
    match u8::try_from(unit) {
        Ok(byte) if !(0x80..=0x9F).contains(&byte) => byte,
        _ => DEFAULT,
    }
}

/// Text in UTF-16 in the code page. A surrogate pair is one character.
#[must_use]
pub(crate) fn narrow_text(text: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut units = text.iter().copied().peekable();
    while let Some(unit) = units.next() {
        if (0xD800..0xDC00).contains(&unit) {
            let _ = units.next_if(|low| (0xDC00..0xE000).contains(low));
        }
        bytes.push(narrow(unit));
    }
    bytes
}

/// Text in the code page in UTF-16.
#[must_use]
pub(crate) fn widen_text(text: &[u8]) -> Vec<u16> {
    text.iter().copied().map(widen).collect()
}

/// A kind of character that both kinds of text can become.
pub(crate) trait Conversion: Sized {
    /// From text in the code page.
    fn from_narrow(text: &[u8]) -> Vec<Self>;
    /// From text in UTF-16.
    fn from_wide(text: &[u16]) -> Vec<Self>;
}

impl Conversion for u8 {
    fn from_narrow(text: &[u8]) -> Vec<Self> {
        text.to_vec()
    }

    fn from_wide(text: &[u16]) -> Vec<Self> {
        narrow_text(text)
    }
}

impl Conversion for u16 {
    fn from_narrow(text: &[u8]) -> Vec<Self> {
        widen_text(text)
    }

    fn from_wide(text: &[u16]) -> Vec<Self> {
        text.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_way_to_unicode_and_back() {
        for byte in 0..=u8::MAX {
            assert_eq!(narrow(widen(byte)), byte);
        }
        assert_eq!(widen(0x80), 0x20AC);
    }

    #[test]
    fn what_the_code_page_lacks_becomes_a_question_mark() {
        assert_eq!(narrow_text(&[0x41, 0x0416, 0xD83D, 0xDE00, 0xFC]), b"A??\xFC");
    }
}
