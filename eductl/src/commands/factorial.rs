//! `factorial N…`: all at once, shown one by one in the order in which they were given.

use std::fmt;
use std::io::{self, Write};

use edu::ioctl::{Factorial, FactorialInput};
use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, abandon, write_json, write_line};
use crate::request::{Number, Pending, RequestError, submit};
use crate::transport::Transport;

pub(crate) fn run(
    numbers: &[u32],
    transport: &mut dyn Transport,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    let submitted: Vec<_> = numbers
        .iter()
        .map(|&n| (n, submit::<Factorial>(transport, &FactorialInput { n })))
        .collect();

    let mut entries = Vec::with_capacity(numbers.len());
    let mut submitted = submitted.into_iter();
    while let Some((n, pending)) = submitted.next() {
        let entry = Entry {
            n,
            result: pending.and_then(|pending| finish(n, pending, transport)),
        };
        if !json && let Err(error) = write_line(out, &entry) {
            abandon(submitted.filter_map(|(_, pending)| pending.ok()), transport);
            return Err(error);
        }
        entries.push(entry);
    }

    let ok = entries.iter().all(|entry| entry.result.is_ok());
    if json {
        write_json(out, "factorial", ok, &Report::from(entries.as_slice()))?;
    }
    Ok(Outcome::of(ok))
}

/// Waits for `n`! and checks it: the device computes in the hardware what this process can compute as well.
pub(super) fn finish(n: u32, pending: Pending<Factorial>, transport: &mut dyn Transport) -> Result<u32, RequestError> {
    let answer = pending.wait(transport)?;
    let expected = FactorialInput { n }.expected();
    if answer == expected {
        Ok(answer.result)
    } else {
        Err(RequestError::WrongAnswer {
            expected: Number::Decimal(expected.result),
            answer: Number::Decimal(answer.result),
        })
    }
}

struct Entry {
    n: u32,
    result: Result<u32, RequestError>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(result) => write!(f, "{}! mod 2^32 = {result}", self.n),
            Err(error) => write!(f, "{}! failed: {error}", self.n),
        }
    }
}

#[derive(Serialize)]
struct Report {
    results: Vec<ReportEntry>,
}

#[derive(Serialize)]
struct ReportEntry {
    n: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl From<&[Entry]> for Report {
    fn from(entries: &[Entry]) -> Self {
        let results = entries.iter().map(|Entry { n, result }| ReportEntry {
            n: *n,
            result: result.as_ref().ok().copied(),
            error: result.as_ref().err().map(Failure::from),
        });
        Self {
            results: results.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
