//! `%token%`: texts that an INF keeps in its `Strings` section.

use super::Inf;

/// A piece of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Stands for itself.
    Text(&'t str),
    /// A directory identifier, a number between percent signs.
    Directory(&'t str),
    /// A name between percent signs.
    Token(&'t str),
}

/// The pieces of a value. Two percent signs are one, which is text.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    text.split('%')
        .enumerate()
        .map(|(index, part)| match (index % 2, part) {
            (0, text) => Piece::Text(text),
            (_, "") => Piece::Text("%"),
            (_, number) if number.bytes().all(|byte| byte.is_ascii_digit()) => Piece::Directory(number),
            (_, name) => Piece::Token(name),
        })
}

impl Inf {
    /// `text` with the texts of its tokens; a token that has none stays as it is.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let strings = self.section("Strings");
        pieces(text)
            .map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Directory(name) => format!("%{name}%"),
                Piece::Token(name) => strings
                    .and_then(|strings| strings.entry(name))
                    .map_or_else(|| format!("%{name}%"), |entry| entry.value(0).to_owned()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_and_directories_stay() {
        let inf = Inf::parse("[Strings]\nName = edu");
        assert_eq!(inf.expand("the %name% device"), "the edu device");
        assert_eq!(inf.expand("%13%\\%Name%.sys"), "%13%\\edu.sys");
        assert_eq!(inf.expand("100%%"), "100%");
        assert_eq!(inf.expand("%Other%"), "%Other%");
    }
}
