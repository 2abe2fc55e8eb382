//! `wait [MASK] [--count N]`: interrupts, as they come.

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroU32;

use edu::ioctl::{WaitInput, WaitInterrupt, WaitOutput};
use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, abandon, write_json, write_line};
use crate::request::{Number, Pending, RequestError, submit};
use crate::transport::Transport;

pub(crate) fn run(
    input: WaitInput,
    count: NonZeroU32,
    transport: &mut dyn Transport,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut arrivals: Vec<WaitOutput> = Vec::new();
    let mut failure = None;
    let mut left = count.get();
    let mut under_way = Some(submit::<WaitInterrupt>(transport, &input));
    while let Some(submitted) = under_way.take() {
        let arrival = submitted.and_then(|pending| finish(input, arrivals.last(), pending, transport));
        left -= 1;
        // The next wait starts before this arrival is shown: what comes while the terminal is slow is not missed.
        if arrival.is_ok() && left > 0 {
            under_way = Some(submit(transport, &input));
        }
        if !json && let Err(error) = write_line(out, &Line(&arrival)) {
            abandon(under_way.and_then(Result::ok), transport);
            return Err(error);
        }
        match arrival {
            Ok(arrival) => arrivals.push(arrival),
            Err(error) => failure = Some(error),
        }
    }

    let ok = failure.is_none();
    if json {
        let report = Report {
            mask: input.mask,
            arrivals: arrivals.iter().map(ReportEntry::from).collect(),
            error: failure.as_ref().map(Failure::from),
        };
        write_json(out, "wait", ok, &report)?;
    }
    Ok(Outcome::of(ok))
}

/// Waits for an interrupt, and checks what is said about it; `previous` is what the wait before this one was answered.
pub(super) fn finish(
    input: WaitInput,
    previous: Option<&WaitOutput>,
    pending: Pending<WaitInterrupt>,
    transport: &mut dyn Transport,
) -> Result<WaitOutput, RequestError> {
    let arrival = pending.wait(transport)?;
    match contradiction(input, previous, &arrival) {
        None => Ok(arrival),
        Some(contradiction) => Err(RequestError::ImpossibleAnswer(contradiction)),
    }
}

fn contradiction(input: WaitInput, previous: Option<&WaitOutput>, arrival: &WaitOutput) -> Option<String> {
    let causes = Number::Hexadecimal(arrival.causes);
    let (last_sequence, last_time) = previous.map_or((0, 0), |previous| (previous.sequence, previous.interrupt_time));
    if arrival.causes == 0 {
        Some("no cause has arrived".to_owned())
    } else if arrival.causes & !input.mask != 0 {
        let mask = Number::Hexadecimal(input.mask);
        Some(format!("of {mask}, {causes} have arrived"))
    } else if arrival.reserved != 0 {
        let reserved = Number::Hexadecimal(arrival.reserved);
        Some(format!("what is always 0 is {reserved}"))
    } else if arrival.sequence <= last_sequence {
        Some(format!(
            "interrupt {} came after interrupt {last_sequence}",
            arrival.sequence
        ))
    } else if arrival.interrupt_time < last_time {
        Some(format!(
            "the interrupt at {} came after the one at {}",
            Time(arrival.interrupt_time),
            Time(last_time)
        ))
    } else {
        None
    }
}

/// An interrupt time, in units of 100 ns; shown in seconds.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PER_SECOND: u64 = 10_000_000;

        write!(f, "{}.{:07} s", self.0 / PER_SECOND, self.0 % PER_SECOND)
    }
}

struct Line<'a>(&'a Result<WaitOutput, RequestError>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(arrival) => write!(
                f,
                "interrupt {}: {} at {}",
                arrival.sequence,
                Number::Hexadecimal(arrival.causes),
                Time(arrival.interrupt_time)
            ),
            Err(error) => write!(f, "wait failed: {error}"),
        }
    }
}

#[derive(Serialize)]
struct Report {
    mask: u32,
    arrivals: Vec<ReportEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Serialize)]
struct ReportEntry {
    causes: u32,
    sequence: u64,
    interrupt_time_100ns: u64,
}

impl From<&WaitOutput> for ReportEntry {
    fn from(arrival: &WaitOutput) -> Self {
        Self {
            causes: arrival.causes,
            sequence: arrival.sequence,
            interrupt_time_100ns: arrival.interrupt_time,
        }
    }
}

#[cfg(test)]
mod tests;
