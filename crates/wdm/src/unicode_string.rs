//! Counted strings of UTF-16.

use core::fmt::{self, Write};
use core::marker::PhantomData;

use wdk_sys::UNICODE_STRING;

/// Size of a UTF-16 code unit, in bytes: what the lengths in a `UNICODE_STRING` count.
const UNIT: u16 = 2;

/// The most code units that a `UNICODE_STRING` can count: its length is a `USHORT` of bytes.
const MOST_UNITS: usize = (u16::MAX / UNIT) as usize;

/// A `UNICODE_STRING` that is only read: counted UTF-16, borrowed from whoever has its buffer.
///
/// The system does not check that a name is valid UTF-16, and neither does this type. Nothing is allocated; a literal is converted when the driver is
/// compiled:
///
/// ```no_run
/// use wdm::{UnicodeString, unicode_string};
///
/// const TIMEOUT: UnicodeString<'static> = unicode_string!("TimeoutMs");
/// # fn main() {}
/// ```
///
/// Equality is that of the code units; the system's own names are often compared without regard to case.
///
/// See [`UNICODE_STRING`](https://learn.microsoft.com/windows/win32/api/ntdef/ns-ntdef-_unicode_string).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct UnicodeString<'a> {
    raw: UNICODE_STRING,
    buffer: PhantomData<&'a [u16]>,
}

// SAFETY: the buffer is borrowed and only read, as a shared slice is.
unsafe impl Send for UnicodeString<'_> {}
// SAFETY: as above.
unsafe impl Sync for UnicodeString<'_> {}

impl<'a> UnicodeString<'a> {
    /// The string with these code units; `None` if there are more than 32,767.
    #[must_use]
    pub const fn new(units: &'a [u16]) -> Option<Self> {
        Self::counted(units, units.len())
    }

    /// The string with these code units but the last, which terminates it: as `RTL_CONSTANT_STRING` makes it, the terminator lies in the buffer and
    /// is not counted. `None` if there is none, or if there are too many.
    #[must_use]
    pub const fn terminated(units: &'a [u16]) -> Option<Self> {
        match units.split_last() {
            Some((0, counted)) => Self::counted(units, counted.len()),
            _ => None,
        }
    }

    /// A buffer, of which the first `length` code units count. They must not be more than it has.
    #[expect(clippy::cast_possible_truncation, reason = "neither is longer than MOST_UNITS")]
    const fn counted(buffer: &'a [u16], length: usize) -> Option<Self> {
        if buffer.len() > MOST_UNITS {
            return None;
        }
        Some(Self {
            raw: UNICODE_STRING {
                Length: length as u16 * UNIT,
                MaximumLength: buffer.len() as u16 * UNIT,
                Buffer: buffer.as_ptr().cast_mut(),
            },
            buffer: PhantomData,
        })
    }

    /// The string that the system describes by `raw`.
    ///
    /// # Safety
    /// The buffer must have `Length` bytes, initialised, aligned to 2, which nobody writes during `'a`; it may be null if `Length` is 0.
    pub(crate) const unsafe fn from_raw(raw: &UNICODE_STRING) -> Self {
        Self {
            raw: *raw,
            buffer: PhantomData,
        }
    }

    /// For a DDI that reads the string. (DDIs take a pointer to mutable memory; those that only read say so in their documentation.)
    pub(crate) const fn as_raw(&self) -> *mut UNICODE_STRING {
        (&raw const self.raw).cast_mut()
    }

    /// For `RtlFreeUnicodeString`, where the system has allocated the buffer.
    pub(crate) const fn into_raw(self) -> UNICODE_STRING {
        self.raw
    }

    /// The code units.
    #[must_use]
    pub const fn units(&self) -> &'a [u16] {
        let length = (self.raw.Length / UNIT) as usize;
        if length == 0 {
            return &[];
        }
        // SAFETY: the buffer has as many code units, which nobody writes during `'a`.
        unsafe { core::slice::from_raw_parts(self.raw.Buffer, length) }
    }

    /// The characters, with `U+FFFD` for what is not valid UTF-16.
    pub fn chars(&self) -> impl Iterator<Item = char> + use<'a> {
        char::decode_utf16(self.units().iter().copied()).map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

impl PartialEq for UnicodeString<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.units() == other.units()
    }
}

impl Eq for UnicodeString<'_> {}

impl fmt::Display for UnicodeString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|character| f.write_char(character))
    }
}

impl fmt::Debug for UnicodeString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.chars()
            .flat_map(char::escape_debug)
            .try_for_each(|character| f.write_char(character))?;
        f.write_char('"')
    }
}

/// A [`UnicodeString`] from a string literal or constant, converted when the driver is compiled. A terminator lies behind it.
#[macro_export]
macro_rules! unicode_string {
    ($text:expr) => {{
        const UNITS: &[u16] =
            &$crate::__private::utf16::terminated::<{ $crate::__private::utf16::count($text) + 1 }>($text);
        const STRING: $crate::UnicodeString<'static> = match $crate::UnicodeString::terminated(UNITS) {
            Some(string) => string,
            None => panic!("longer than a UNICODE_STRING can be"),
        };
        STRING
    }};
}

/// Conversion from UTF-8 at compile time, for [`unicode_string!`].
pub mod utf16 {
    /// What a character outside the basic multilingual plane is encoded relative to.
    const SUPPLEMENTARY: u32 = 0x1_0000;

    /// How many UTF-16 code units `text` has.
    #[must_use]
    pub const fn count(text: &str) -> usize {
        let mut rest = text.as_bytes();
        let mut units = 0;
        while let Some((character, behind)) = split_first(rest) {
            units += if character < SUPPLEMENTARY { 1 } else { 2 };
            rest = behind;
        }
        units
    }

    /// The code units of `text`, of which there are `N - 1`, and a terminator.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each is a number below 0x10000")]
    pub const fn terminated<const N: usize>(text: &str) -> [u16; N] {
        let mut units = [0; N];
        let mut rest = text.as_bytes();
        let mut at = 0;
        while let Some((character, behind)) = split_first(rest) {
            if character < SUPPLEMENTARY {
                units[at] = character as u16;
                at += 1;
            } else {
                let offset = character - SUPPLEMENTARY;
                units[at] = (0xD800 | offset >> 10) as u16;
                units[at + 1] = (0xDC00 | offset & 0x3FF) as u16;
                at += 2;
            }
            rest = behind;
        }
        units
    }

    /// The first character of valid UTF-8, and what is behind it.
    const fn split_first(text: &[u8]) -> Option<(u32, &[u8])> {
        /// The six bits that a byte after the first carries.
        const fn payload(byte: u8) -> u32 {
            byte as u32 & 0x3F
        }
        match text {
            [a @ 0..0x80, rest @ ..] => Some((*a as u32, rest)),
            [a @ 0x80..0xE0, b, rest @ ..] => Some(((*a as u32 & 0x1F) << 6 | payload(*b), rest)),
            [a @ 0xE0..0xF0, b, c, rest @ ..] => {
                Some(((*a as u32 & 0x0F) << 12 | payload(*b) << 6 | payload(*c), rest))
            }
            [a, b, c, d, rest @ ..] => {
                let high = (*a as u32 & 0x07) << 18 | payload(*b) << 12;
                Some((high | payload(*c) << 6 | payload(*d), rest))
            }
            _ => None,
        }
    }

    // wdm has no unit tests that run (it links against the kernel); the compiler runs these.
    const _: () = {
        const fn is(text: [u16; 4], expected: [u16; 4]) -> bool {
            text[0] == expected[0] && text[1] == expected[1] && text[2] == expected[2] && text[3] == expected[3]
        }
        assert!(is(terminated("aß€"), [0x61, 0xDF, 0x20AC, 0]));
        assert!(is(terminated("x𝄞"), [0x78, 0xD834, 0xDD1E, 0]));
        assert!(count("aß€") == 3 && count("x𝄞") == 3 && count("") == 0);
    };
}
