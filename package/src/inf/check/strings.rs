//! Every token has a text, and every text a token.

use std::collections::BTreeSet;

use super::Checker;
use crate::inf::{
    Section,
    strings::{Piece, pieces},
};

impl Checker<'_> {
    pub(super) fn strings(&mut self) {
        let inf = self.inf;
        let strings = inf.section("Strings");
        let mut used = BTreeSet::new();
        for section in inf.sections().iter().filter(|section| !is_strings(section)) {
            let header = std::iter::once((section.line, section.name.as_str()));
            let entries = section.entries.iter().flat_map(|entry| {
                let texts = entry.key.iter().chain(&entry.values);
                texts.map(|text| (entry.line, text.as_str()))
            });
            for (line, text) in header.chain(entries) {
                for piece in pieces(text) {
                    let Piece::Token(name) = piece else { continue };
                    used.insert(name.to_ascii_lowercase());
                    if strings.is_none_or(|strings| strings.entry(name).is_none()) {
                        self.error(line, 1235, format!("%{name}% is not in [Strings]"));
                    }
                }
            }
        }
        let mut defined = BTreeSet::new();
        for entry in strings.map_or(&[][..], |section| &section.entries) {
            let name = entry.key.as_deref().unwrap_or_default().to_ascii_lowercase();
            if !used.contains(&name) {
                self.warning(entry.line, 2083, format!("nothing uses the string {name}"));
            }
            if !defined.insert(name.clone()) {
                self.error(entry.line, 1294, format!("the string {name} is there twice"));
            }
        }
    }
}

/// `[Strings]` or one for a language, such as `[Strings.0407]`.
fn is_strings(section: &Section) -> bool {
    section.name.to_ascii_lowercase().starts_with("strings")
}
