//! What follows a percent sign: flags, width, precision, size and type.

use crate::{bugcheck::Outcome, crt::unit::Unit};

/// The most characters that a number's field can have; a wider field is cut down to it.
const WIDEST: usize = 0xFFFF;

/// How wide the characters of text are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Narrow,
    Wide,
}

/// How many bits an integer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Char,
    Short,
    Long,
    LongLong,
}

/// A conversion specification.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each flag of the format language is one")]
pub(super) struct Specification {
    /// Its type.
    pub letter: u8,
    /// How it was written, without the percent sign.
    pub written: String,
    /// `-`.
    pub left: bool,
    /// `0`.
    pub zeroes: bool,
    /// What `h`, `l` or `w` say of text.
    pub text: Option<Width>,
    pub width: usize,
    pub precision: Option<usize>,
    plus: bool,
    space: bool,
    alternate: bool,
    size: Size,
    /// The width, and the precision, is the next argument.
    stars: (bool, bool),
}

impl Specification {
    /// Reads a specification up to its type; `None` when the template ends within it.
    pub(super) fn read<T: Unit>(template: &mut (impl Iterator<Item = T> + Clone)) -> Option<Self> {
        let mut all = Self {
            letter: 0,
            written: String::new(),
            left: false,
            zeroes: false,
            text: None,
            width: 0,
            precision: None,
            plus: false,
            space: false,
            alternate: false,
            size: Size::Long,
            stars: (false, false),
        };
        loop {
            let unit = template.next()?;
            // A character that is not ASCII is of no type: it is text, and so printed as a question mark at least.
            let byte = unit.ascii().unwrap_or(b'?');
            all.written.push(char::from(byte));
            match byte {
                b'-' => all.left = true,
                b'+' => all.plus = true,
                b' ' => all.space = true,
                b'#' => all.alternate = true,
                b'0' if all.width == 0 && all.precision.is_none() => all.zeroes = true,
                b'0'..=b'9' => all.digit(usize::from(byte - b'0')),
                b'.' => all.precision = Some(0),
                b'*' if all.precision.is_some() => all.stars.1 = true,
                b'*' => all.stars.0 = true,
                b'h' if all.size == Size::Short => all.size = Size::Char,
                b'h' => {
                    all.size = Size::Short;
                    all.text = Some(Width::Narrow);
                }
                b'l' if all.text == Some(Width::Wide) => all.size = Size::LongLong,
                b'l' | b'w' => all.text = Some(Width::Wide),
                b'j' | b't' | b'z' | b'L' => all.size = Size::LongLong,
                b'I' => all.size = read_bits(template),
                letter => {
                    all.letter = letter;
                    return Some(all);
                }
            }
        }
    }

    fn digit(&mut self, digit: usize) {
        let number = self.precision.as_mut().unwrap_or(&mut self.width);
        *number = (*number * 10 + digit).min(WIDEST);
    }

    /// Takes the arguments that stars stand for. A negative width is one to the left; a negative precision is none.
    pub(super) fn take_stars(&mut self, mut next: impl FnMut() -> Outcome<u64>) -> Outcome<()> {
        let mut number = || next().map(|value| ((value & 0xFFFF_FFFF) as u32).cast_signed());
        let size = |number: i32| usize::try_from(number.unsigned_abs()).map_or(WIDEST, |size| size.min(WIDEST));
        if self.stars.0 {
            let width = number()?;
            self.left |= width < 0;
            self.width = size(width);
        }
        if self.stars.1 {
            let precision = number()?;
            self.precision = (precision >= 0).then(|| size(precision));
        }
        Ok(())
    }

    /// The field of an integer.
    pub(super) fn integer(&self, value: u64) -> String {
        let signed = matches!(self.letter, b'd' | b'i');
        let (number, negative) = if self.letter == b'p' {
            (value, false)
        } else if signed {
            let value = self.sign_extended(value);
            (value.unsigned_abs(), value < 0)
        } else {
            (self.zero_extended(value), false)
        };
        let digits = match self.letter {
            b'o' => format!("{number:o}"),
            b'x' => format!("{number:x}"),
            b'X' | b'p' => format!("{number:X}"),
            _ => number.to_string(),
        };
        let precision = match self.letter {
            b'p' => Some(16),
            _ => self.precision,
        };
        let digits = match precision {
            Some(0) if number == 0 => String::new(),
            Some(least) => format!("{digits:0>least$}"),
            None => digits,
        };
        let sign = match self.letter {
            _ if negative => "-",
            _ if signed && self.plus => "+",
            _ if signed && self.space => " ",
            b'x' if self.alternate && number != 0 => "0x",
            b'X' | b'p' if self.alternate && number != 0 => "0X",
            b'o' if self.alternate && !digits.starts_with('0') => "0",
            _ => "",
        };
        let width = self.width;
        if self.left {
            return format!("{:<width$}", format!("{sign}{digits}"));
        }
        if self.zeroes && precision.is_none() {
            let rest = width.saturating_sub(sign.len());
            return format!("{sign}{digits:0>rest$}");
        }
        format!("{:>width$}", format!("{sign}{digits}"))
    }

    fn sign_extended(&self, value: u64) -> i64 {
        let unused = 64 - self.bits();
        (value << unused).cast_signed() >> unused
    }

    fn zero_extended(&self, value: u64) -> u64 {
        let unused = 64 - self.bits();
        value << unused >> unused
    }

    fn bits(&self) -> u32 {
        match self.size {
            Size::Char => 8,
            Size::Short => 16,
            Size::Long => 32,
            Size::LongLong => 64,
        }
    }
}

/// What follows an `I`: 32, 64, or nothing, which is the size of a pointer.
fn read_bits<T: Unit>(template: &mut (impl Iterator<Item = T> + Clone)) -> Size {
    for (digits, size) in [(*b"64", Size::LongLong), (*b"32", Size::Long)] {
        let mut ahead = template.clone();
        if digits
            .iter()
            .all(|&digit| ahead.next().and_then(T::ascii) == Some(digit))
        {
            *template = ahead;
            return size;
        }
    }
    Size::LongLong
}
