//! Whether Windows would take an INF, and whether it keeps the rules for
//! [Windows drivers](https://learn.microsoft.com/windows-hardware/drivers/develop/driver-isolation): what `InfVerif /w` looks at.
//!
//! Only what is for 64-bit x86 is followed. What is in INFs that come with Windows (`Include`, `Needs`) is not known here.

mod files;
mod install;
mod models;
mod registry;
mod services;
mod strings;
mod unused;
mod version;

use std::collections::BTreeSet;

use super::{Finding, Inf, Section};

/// Everything that is wrong with `inf`, by line.
#[must_use]
pub fn check(inf: &Inf) -> Vec<Finding> {
    let mut checker = Checker {
        inf,
        findings: inf.problems.clone(),
        used: BTreeSet::new(),
        copied: BTreeSet::new(),
    };
    checker.version();
    checker.strings();
    checker.models();
    checker.source_disks();
    checker.unused();
    checker.findings.sort_by_key(|finding| (finding.line, finding.severity));
    checker.findings
}

struct Checker<'i> {
    inf: &'i Inf,
    findings: Vec<Finding>,
    /// The sections that something refers to, in lower case.
    used: BTreeSet<String>,
    /// The files that are copied, in lower case.
    copied: BTreeSet<String>,
}

impl<'i> Checker<'i> {
    fn error(&mut self, line: usize, code: u16, what: impl Into<String>) {
        self.findings.push(Finding::error(line, code, what));
    }

    fn warning(&mut self, line: usize, code: u16, what: impl Into<String>) {
        self.findings.push(Finding::warning(line, code, what));
    }

    fn mark_used(&mut self, name: &str) {
        self.used.insert(name.to_ascii_lowercase());
    }

    /// The section that a directive on `line` refers to.
    fn referenced(&mut self, line: usize, directive: &str, name: &str) -> Option<&'i Section> {
        if name.is_empty() {
            self.error(line, 1005, format!("{directive} names no section"));
            return None;
        }
        self.mark_used(name);
        let section = self.inf.section(name);
        if section.is_none() {
            self.error(
                line,
                1203,
                format!("{directive} refers to [{name}], which is not there"),
            );
        }
        section
    }
}

/// The number that `text` is, decimal or hexadecimal.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
