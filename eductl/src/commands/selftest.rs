//! `selftest`: everything that can be asked of device and driver, one line each.

mod checks;
mod fault;
mod interrupts;
mod others;
mod refusals;
mod transfers;

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use self::checks::CHECKS;
use self::fault::Fault;
use self::others::{Observer, Others};
use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::transport::Transport;

pub(crate) fn run(transport: &mut dyn Transport, json: bool, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut lines = Vec::with_capacity(CHECKS.len());
    let mut stopped = false;
    let mut observer = Observer::new(transport);
    for check in CHECKS {
        let line = Line {
            name: check.name,
            result: if stopped {
                CheckResult::Skipped
            } else {
                (check.run)(&mut observer).map_or_else(CheckResult::Failed, |()| CheckResult::Passed)
            },
        };
        // What the user has ended by Ctrl-C does not go on with the next check.
        stopped |= matches!(&line.result, CheckResult::Failed(fault) if fault.is_cancellation());
        if !json {
            write_line(out, &line)?;
        }
        lines.push(line);
    }

    let ok = lines.iter().all(|line| matches!(line.result, CheckResult::Passed));
    let others = observer.others();
    if let Some(others) = others.filter(|_| !json) {
        write_line(out, &format_args!("note     {others}"))?;
    }
    if json {
        let report = Report {
            checks: lines.iter().map(ReportEntry::from).collect(),
            others,
        };
        write_json(out, "selftest", ok, &report)?;
    }
    Ok(Outcome::of(ok))
}

struct Line {
    name: &'static str,
    result: CheckResult,
}

enum CheckResult {
    Passed,
    Failed(Fault),
    Skipped,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.result {
            CheckResult::Passed => write!(f, "ok       {name}"),
            CheckResult::Failed(fault) => write!(f, "FAILED   {name}: {fault}"),
            CheckResult::Skipped => write!(f, "skipped  {name}"),
        }
    }
}

#[derive(Serialize)]
struct Report {
    checks: Vec<ReportEntry>,
    /// What others did to the device meanwhile, if they did something.
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<Others>,
}

#[derive(Serialize)]
struct ReportEntry {
    name: &'static str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl From<&Line> for ReportEntry {
    fn from(line: &Line) -> Self {
        let (result, error) = match &line.result {
            CheckResult::Passed => ("ok", None),
            CheckResult::Failed(fault) => ("failed", Some(Failure::from(fault))),
            CheckResult::Skipped => ("skipped", None),
        };
        Self {
            name: line.name,
            result,
            error,
        }
    }
}

#[cfg(test)]
mod tests;
