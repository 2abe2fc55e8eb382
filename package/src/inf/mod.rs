//! INF files: what is in one, how a template becomes one, and whether Windows would take it.
//!
//! The [format](https://learn.microsoft.com/windows-hardware/drivers/install/general-syntax-rules-for-inf-files) has sections of
//! entries; names are the same in upper and lower case.

mod check;
mod facts;
mod finding;
mod parse;
pub mod platform;
mod stamp;
mod strings;
mod text;

pub use check::check;
pub use facts::Facts;
pub use finding::{Finding, Severity};
pub use stamp::{Stamp, stamp};
pub use text::decode;

/// An INF file.
#[derive(Debug, Clone)]
pub struct Inf {
    /// In the order of the file; of several of one name, the first has the entries of all.
    sections: Vec<Section>,
    /// What could not be understood.
    problems: Vec<Finding>,
}

/// A section.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its name, without brackets.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// An entry: `key = value, value`, or values alone.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it begins.
    pub line: usize,
    /// What is before the equals sign.
    pub key: Option<String>,
    /// What is between the commas, without quotes.
    pub values: Vec<String>,
}

impl Inf {
    /// All sections.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of that name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| same(&section.name, name))
    }

    /// The section `name` and those of the same name with an architecture behind it, such as `SourceDisksFiles.amd64`.
    pub fn section_for_any_architecture<'i>(&'i self, name: &'i str) -> impl Iterator<Item = &'i Section> {
        self.sections.iter().filter(move |section| {
            let rest = section.name.get(name.len()..);
            section.name.get(..name.len()).is_some_and(|start| same(start, name))
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

impl Section {
    /// The entries with that key.
    pub fn entries_of<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s Entry> {
        self.entries.iter().filter(move |entry| entry.has_key(key))
    }

    /// The first entry with that key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.has_key(key))
    }
}

impl Entry {
    /// The value at `index`; empty when there is none.
    #[must_use]
    pub fn value(&self, index: usize) -> &str {
        self.values.get(index).map_or("", String::as_str)
    }

    /// Whether its key is that one.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.key.as_deref().is_some_and(|own| same(own, key))
    }
}

/// Whether two names are the same.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
