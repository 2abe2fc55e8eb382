//! Upper and lower case of UTF-16 characters, one character for one.
//!
//! The system's tables pair letters: a letter whose other case leads back to another letter (the dotless i, the long s) has none here.

fn other_case<I: Iterator<Item = char>>(unit: u16, convert: fn(char) -> I) -> Option<u16> {
    let mut converted = convert(char::from_u32(unit.into())?);
    let first = converted.next()?;
    let alone = converted.next().is_none();
    u16::try_from(u32::from(first)).ok().filter(|_| alone)
}

/// The character in upper case.
#[must_use]
pub(crate) fn upcase(unit: u16) -> u16 {
    other_case(unit, char::to_uppercase)
        .filter(|&upper| upper == unit || other_case(upper, char::to_lowercase) == Some(unit))
        .unwrap_or(unit)
}

/// The character in lower case.
#[must_use]
pub(crate) fn downcase(unit: u16) -> u16 {
    other_case(unit, char::to_lowercase)
        .filter(|&lower| lower == unit || other_case(lower, char::to_uppercase) == Some(unit))
        .unwrap_or(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_paired() {
        for (lower, upper) in [('a', 'A'), ('ü', 'Ü'), ('ж', 'Ж'), ('ÿ', 'Ÿ')] {
            let unit = |letter| u16::try_from(u32::from(letter)).unwrap();
            assert_eq!(upcase(unit(lower)), unit(upper));
            assert_eq!(downcase(unit(upper)), unit(lower));
        }
    }

    #[test]
    fn a_letter_without_a_partner_stays() {
        for alone in ['ß', 'ı', 'ſ', '1'] {
            let unit = u16::try_from(u32::from(alone)).unwrap();
            assert_eq!((upcase(unit), downcase(unit)), (unit, unit));
        }
    }
}
