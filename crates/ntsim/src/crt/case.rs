//! Case and class of characters: `toupper`, `isdigit`, `_wcslwr` and the like.

use super::unit::{Unit, read, write};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    rtl::case_mapping,
};

/// `_UPPER` of a character's class.
const UPPER: i32 = 0x01;
/// `_LOWER`.
const LOWER: i32 = 0x02;
/// `_DIGIT`.
const DIGIT: i32 = 0x04;
/// `_SPACE`.
const SPACE: i32 = 0x08;
/// `_PUNCT`.
const PUNCT: i32 = 0x10;
/// `_CONTROL`.
const CONTROL: i32 = 0x20;
/// `_BLANK`.
const BLANK: i32 = 0x40;
/// `_HEX`.
const HEX: i32 = 0x80;
/// `_ALPHA` without the letters' case.
const ALPHA: i32 = 0x100 | UPPER | LOWER;

/// The routines that tell classes apart: the name for a character, and the classes that it asks for.
const CLASSES: [(&str, &str, i32); 10] = [
    ("isalnum", "iswalnum", ALPHA | DIGIT),
    ("isalpha", "iswalpha", ALPHA),
    ("iscntrl", "iswcntrl", CONTROL),
    ("isdigit", "iswdigit", DIGIT),
    ("isgraph", "iswgraph", PUNCT | ALPHA | DIGIT),
    ("islower", "iswlower", LOWER),
    ("isprint", "iswprint", BLANK | PUNCT | ALPHA | DIGIT),
    ("ispunct", "iswpunct", PUNCT),
    ("isspace", "iswspace", SPACE),
    ("isupper", "iswupper", UPPER),
];

pub(super) fn register(ddi: &mut Registry) {
    for (narrow, wide, classes) in CLASSES {
        class_test(ddi, narrow, classes);
        class_test(ddi, wide, classes);
    }
    class_test(ddi, "isxdigit", HEX);
    class_test(ddi, "iswxdigit", HEX);
    ddi.function("tolower", 1, Contract::ANY, |_, a| Ok(fold(a, u8::lower)));
    ddi.function("toupper", 1, Contract::ANY, |_, a| Ok(fold(a, u8::upper)));
    // The wide forms know the letters of all scripts.
    ddi.function("towlower", 1, Contract::ANY, |_, a| {
        Ok(u32::from(case_mapping::downcase(a.u16(0))))
    });
    ddi.function("towupper", 1, Contract::ANY, |_, a| {
        Ok(u32::from(case_mapping::upcase(a.u16(0))))
    });
    family::<u8>(ddi);
    family::<u16>(ddi);
}

fn family<T: Unit>(ddi: &mut Registry) {
    ddi.function(T::pick("_strlwr", "_wcslwr"), 1, Contract::ANY, |k, a| {
        convert::<T>(k, a, T::lower)
    });
    ddi.function(T::pick("_strupr", "_wcsupr"), 1, Contract::ANY, |k, a| {
        convert::<T>(k, a, T::upper)
    });
}

fn class_test(ddi: &mut Registry, name: &'static str, classes: i32) {
    ddi.function(name, 1, Contract::ANY, move |_, a| {
        let found = u8::try_from(a.u32(0)).ok().map_or(0, class);
        Ok(found & classes)
    });
}

/// The classes of a character.
fn class(byte: u8) -> i32 {
    let hex = if byte.is_ascii_hexdigit() { HEX } else { 0 };
    let own = match byte {
        b'A'..=b'Z' => UPPER,
        b'a'..=b'z' => LOWER,
        b'0'..=b'9' => DIGIT,
        b' ' => SPACE | BLANK,
        b'\t'..=b'\r' => SPACE | CONTROL,
        _ if byte.is_ascii_punctuation() => PUNCT,
        _ if byte.is_ascii_control() => CONTROL,
        _ => 0,
    };
    own | hex
}

/// The case of a character that is one; any other number, EOF too, comes back as it is.
fn fold(a: &Args, fold: fn(u8) -> u8) -> u32 {
    let number = a.u32(0);
    u8::try_from(number).map_or(number, |byte| fold(byte).into())
}

fn convert<T: Unit>(k: &Kernel, a: &Args, fold: fn(T) -> T) -> Outcome<Va> {
    let text = read::<T>(k, a.va(0), usize::MAX)?;
    let folded: Vec<T> = text.into_iter().map(fold).collect();
    write(k, a.va(0), &folded)?;
    Ok(a.va(0))
}
