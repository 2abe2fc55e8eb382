//! What a check finds.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Windows, or its catalog and signing tools, refuse the INF, or it breaks a rule for Windows drivers.
    Error,
    /// Does no harm, but is probably not meant.
    Warning,
}

/// Something that is wrong with an INF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, counted from 1.
    pub line: usize,
    /// How bad it is.
    pub severity: Severity,
    /// `InfVerif`'s [code](https://learn.microsoft.com/windows-hardware/drivers/devtest/inf-validation-errors-and-warnings) for it.
    pub code: u16,
    /// What.
    pub what: String,
}

impl Finding {
    /// An error.
    pub(super) fn error(line: usize, code: u16, what: impl Into<String>) -> Self {
        Self::new(line, Severity::Error, code, what)
    }

    /// A warning.
    pub(super) fn warning(line: usize, code: u16, what: impl Into<String>) -> Self {
        Self::new(line, Severity::Warning, code, what)
    }

    fn new(line: usize, severity: Severity, code: u16, what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            line,
            severity,
            code,
            what,
        }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "line {}: {severity} {}: {}", self.line, self.code, self.what)
    }
}
