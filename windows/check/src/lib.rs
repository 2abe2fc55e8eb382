//! Checks PowerShell scripts where there is no PowerShell: that they can be parsed, that the commands and parameters that they use are there,
//! and rules of [PSScriptAnalyzer](https://learn.microsoft.com/powershell/utility-modules/psscriptanalyzer/overview) that can be told from
//! the syntax alone. The names of those rules are in the findings.
//!
//! The parser is tree-sitter's grammar of PowerShell. It takes some things that PowerShell refuses, so this does not replace a run.

mod functions;
mod names;
mod rules;
mod script;

use std::fmt;

pub use script::Script;

/// Something that is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The script.
    pub script: String,
    /// The line, counted from 1.
    pub line: usize,
    /// Which rule says so.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.script, self.line, self.what, self.rule)
    }
}

/// Checks scripts that belong together: a function of a module (`.psm1`) is known in all of them.
#[must_use]
pub fn check(scripts: &[Script]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for script in scripts {
        findings.extend(script.syntax_errors());
    }
    // What cannot be parsed has no structure to look at.
    if findings.is_empty() {
        let modules = functions::of_modules(scripts);
        for script in scripts {
            findings.extend(rules::check(script, &modules));
        }
    }
    findings.sort_by_key(|finding| (finding.script.clone(), finding.line));
    findings
}
