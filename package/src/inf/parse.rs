//! Reads an INF.

use super::{Entry, Finding, Inf, Section, same};

impl Inf {
    /// Reads an INF's text. What cannot be understood is left out, and found by [`check`](super::check()).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut inf = Self {
            sections: Vec::new(),
            problems: Vec::new(),
        };
        let mut current = None;
        for (line, text) in logical_lines(text) {
            if text.starts_with('[') {
                current = inf.begin_section(line, &text);
            } else if let Some(section) = current.and_then(|index: usize| inf.sections.get_mut(index)) {
                if text.matches('"').count() % 2 != 0 {
                    inf.problems.push(Finding::error(line, 1002, "a quote is not closed"));
                }
                section.entries.push(Entry::parse(line, &text));
            } else {
                let what = format!("{text:?} is in no section");
                inf.problems.push(Finding::warning(line, 1002, what));
            }
        }
        inf
    }

    /// The place of the section whose header `text` is.
    fn begin_section(&mut self, line: usize, text: &str) -> Option<usize> {
        let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            let what = format!("{text:?} is no section: it has no closing bracket");
            self.problems.push(Finding::error(line, 1002, what));
            return None;
        };
        let name = name.trim();
        if let Some(index) = self.sections.iter().position(|section| same(&section.name, name)) {
            let first = self.sections[index].line;
            let what = format!("[{name}] is there already, on line {first}");
            self.problems.push(Finding::error(line, 1209, what));
            return Some(index);
        }
        self.sections.push(Section {
            name: name.to_owned(),
            line,
            entries: Vec::new(),
        });
        Some(self.sections.len() - 1)
    }
}

impl Entry {
    fn parse(line: usize, text: &str) -> Self {
        let (key, values) = match find_unquoted(text, '=') {
            Some(at) => (Some(unquote(&text[..at])), &text[at + 1..]),
            None => (None, text),
        };
        let mut parts = Vec::new();
        let mut rest = values;
        while let Some(at) = find_unquoted(rest, ',') {
            parts.push(unquote(&rest[..at]));
            rest = &rest[at + 1..];
        }
        // `key =` has no value at all.
        if !parts.is_empty() || !rest.trim().is_empty() {
            parts.push(unquote(rest));
        }
        Self {
            line,
            key,
            values: parts,
        }
    }
}

/// The lines without comments and without those that are empty then; one that ends in a backslash goes on in the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        let (number, mut joined) = begun.take().unwrap_or((index + 1, String::new()));
        if let Some(start) = line.strip_suffix('\\') {
            joined.push_str(start);
            begun = Some((number, joined));
            continue;
        }
        joined.push_str(line);
        if !joined.is_empty() {
            lines.push((number, joined));
        }
    }
    lines.extend(begun);
    lines
}

/// A line up to its comment.
pub(super) fn without_comment(line: &str) -> &str {
    find_unquoted(line, ';').map_or(line, |at| &line[..at])
}

fn find_unquoted(text: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        quoted ^= character == '"';
        if character == wanted && !quoted {
            return Some(at);
        }
    }
    None
}

/// A value without its quotes; two quotes within quotes are one.
fn unquote(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> (Option<String>, Vec<String>) {
        let inf = Inf::parse(&format!("[S]\n{text}"));
        assert_eq!(inf.problems, []);
        let entry = &inf.section("s").unwrap().entries[0];
        (entry.key.clone(), entry.values.clone())
    }

    #[test]
    fn entries_are_split_outside_quotes() {
        assert_eq!(entry("a = b , c ; d"), (Some("a".into()), vec!["b".into(), "c".into()]));
        assert_eq!(
            entry("HKR,,\"a;b,c=d\""),
            (None, vec!["HKR".into(), String::new(), "a;b,c=d".into()])
        );
        assert_eq!(entry("a = \"b\"\"c\""), (Some("a".into()), vec!["b\"c".into()]));
        assert_eq!(entry("a ="), (Some("a".into()), vec![]));
        assert_eq!(entry("1 = disk,,,").1.len(), 4);
    }

    #[test]
    fn a_line_goes_on_behind_a_backslash() {
        assert_eq!(entry("a = b, \\ ; more\n  c").1, ["b", "c"]);
    }

    #[test]
    fn what_cannot_be_understood_is_found_with_its_line() {
        let problem = |text: &str| Inf::parse(text).problems[0].to_string();
        assert_eq!(problem("\na = b"), "line 2: warning 1002: \"a = b\" is in no section");
        assert!(problem("[S").starts_with("line 1: error 1002"));
        assert_eq!(problem("[S]\na = \"b"), "line 2: error 1002: a quote is not closed");
        assert_eq!(
            problem("[S]\n[T]\n[s]"),
            "line 3: error 1209: [s] is there already, on line 1"
        );
    }
}
