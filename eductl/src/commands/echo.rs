//! `echo FILE`: a file through the device's buffer and back, by DMA.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::cli::EchoArguments;
use crate::device_buffer;
use crate::request::RequestError;
use crate::transport::Transport;

pub(crate) fn run(
    arguments: &EchoArguments,
    transport: &mut dyn Transport,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    let data = arguments.data.bytes();
    let mut report = Report {
        length: data.len(),
        returned: 0,
        error: None,
    };
    for part in data.chunks(arguments.request_size()) {
        match send(part, report.returned, transport) {
            Ok(()) => report.returned += part.len(),
            Err(error) => {
                report.error = Some(Failure::from(&error));
                break;
            }
        }
        // A part of the default size takes the device some three seconds.
        if !json && report.returned < report.length {
            write_line(out, &format_args!("{} of {} bytes", report.returned, report.length))?;
        }
    }

    let ok = report.error.is_none();
    if json {
        write_json(out, "echo", ok, &report)?;
    } else {
        write_line(out, &report)?;
    }
    Ok(Outcome::of(ok))
}

/// Sends the part of the file that begins at `offset`, and compares what comes back.
fn send(part: &[u8], offset: usize, transport: &mut dyn Transport) -> Result<(), RequestError> {
    let echo = device_buffer::echo(transport, part)?;
    match part.iter().zip(&echo).position(|(sent, came)| sent != came) {
        None => Ok(()),
        Some(index) => Err(RequestError::ImpossibleAnswer(format!(
            "byte {} came back as {:#04x} instead of {:#04x}",
            offset + index,
            echo[index],
            part[index]
        ))),
    }
}

#[derive(Serialize)]
struct Report {
    /// Of the file, in bytes.
    length: usize,
    /// How many of them came back as they were sent.
    returned: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            None => write!(f, "{} bytes came back as they were sent", self.length),
            Some(failure) => write!(f, "failed after {} of {} bytes: {failure}", self.returned, self.length),
        }
    }
}

#[cfg(test)]
mod tests;
