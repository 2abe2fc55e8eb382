//! What strings consist of: `char` or `wchar_t`.

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{GuestValue, Va},
};

/// A character of a narrow string (`u8`) or of a wide string (`u16`).
pub(crate) trait Unit: GuestValue + Ord + Into<u32> + 'static {
    /// The terminator.
    const ZERO: Self;

    /// The low bits of an argument.
    fn of(argument: u64) -> Self;

    /// The name of the routine for this type.
    fn pick(narrow: &'static str, wide: &'static str) -> &'static str;

    /// The character with ASCII letters in lower case.
    fn lower(self) -> Self;

    /// The character with ASCII letters in upper case.
    fn upper(self) -> Self;

    /// The character as ASCII; none when it is not.
    fn ascii(self) -> Option<u8> {
        u8::try_from(self.into()).ok().filter(u8::is_ascii)
    }
}

impl Unit for u8 {
    const ZERO: Self = 0;

    fn of(argument: u64) -> Self {
        argument.to_le_bytes()[0]
    }

    fn pick(narrow: &'static str, _: &'static str) -> &'static str {
        narrow
    }

    fn lower(self) -> Self {
        self.to_ascii_lowercase()
    }

    fn upper(self) -> Self {
        self.to_ascii_uppercase()
    }
}

impl Unit for u16 {
    const ZERO: Self = 0;

    fn of(argument: u64) -> Self {
        let [low, high, ..] = argument.to_le_bytes();
        Self::from_le_bytes([low, high])
    }

    fn pick(_: &'static str, wide: &'static str) -> &'static str {
        wide
    }

    fn lower(self) -> Self {
        self.ascii().map_or(self, |byte| byte.to_ascii_lowercase().into())
    }

    fn upper(self) -> Self {
        self.ascii().map_or(self, |byte| byte.to_ascii_uppercase().into())
    }
}

/// The address of the character at `index`.
pub(super) fn at<T: Unit>(text: Va, index: usize) -> Va {
    text + index * T::SIZE
}

/// How many characters come before the terminator; `limit` when the first `limit` ones have none. Nothing beyond either is touched.
pub(crate) fn length<T: Unit>(k: &Kernel, text: Va, limit: usize) -> Outcome<usize> {
    let mut length = 0;
    while length < limit && k.read::<T>(at::<T>(text, length))? != T::ZERO {
        length += 1;
    }
    Ok(length)
}

/// Reads a string up to its terminator, at most `limit` characters. Nothing beyond either is touched.
pub(crate) fn read<T: Unit>(k: &Kernel, text: Va, limit: usize) -> Outcome<Vec<T>> {
    let mut units = Vec::new();
    while units.len() < limit {
        match k.read::<T>(at::<T>(text, units.len()))? {
            unit if unit == T::ZERO => break,
            unit => units.push(unit),
        }
    }
    Ok(units)
}

/// Writes characters, without a terminator.
pub(super) fn write<T: Unit>(k: &Kernel, to: Va, units: &[T]) -> Outcome<()> {
    let mut bytes = vec![0; units.len() * T::SIZE];
    for (unit, to) in units.iter().zip(bytes.chunks_exact_mut(T::SIZE)) {
        unit.to_guest(to);
    }
    k.write_bytes(to, &bytes)
}

/// Writes characters and a terminator.
pub(super) fn write_terminated<T: Unit>(k: &Kernel, to: Va, units: &[T]) -> Outcome<()> {
    write(k, to, units)?;
    k.write(at::<T>(to, units.len()), T::ZERO)
}

/// An argument of type `size_t`.
pub(super) fn size(argument: u64) -> usize {
    usize::try_from(argument).unwrap_or(usize::MAX)
}
