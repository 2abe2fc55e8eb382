//! `read`: what lies in the device's buffer.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use edu::dma::BUFFER_USABLE;
use pretty_hex::{HexConfig, config_hex};
use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::cli::ReadArguments;
use crate::device_buffer;
use crate::transport::Transport;

pub(crate) fn run(
    arguments: &ReadArguments,
    transport: &mut dyn Transport,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    let offset = arguments.offset;
    let length = arguments.length.unwrap_or_else(|| up_to_the_end(offset));
    let result = device_buffer::read(transport, offset.into(), length as usize)
        .map_err(|error| Failure::from(&error))
        .and_then(|data| {
            if let Some(file) = &arguments.output {
                save(file, &data)?;
            }
            Ok(data)
        });

    let ok = result.is_ok();
    if json {
        write_json(out, "read", ok, &Report::new(offset, &result))?;
        return Ok(Outcome::of(ok));
    }
    match (&result, &arguments.output) {
        (Ok(data), Some(file)) => write_line(
            out,
            &format_args!("{} bytes from offset {offset} saved in {}", data.len(), file.display()),
        )?,
        (Ok(data), None) => write_line(out, &dump(offset, data))?,
        (Err(failure), _) => write_line(out, &format_args!("read failed: {failure}"))?,
    }
    Ok(Outcome::of(ok))
}

/// How many bytes there are from `offset` on; one where there is none, so that it is the driver who says so.
fn up_to_the_end(offset: u32) -> u32 {
    u32::try_from(BUFFER_USABLE)
        .unwrap_or(u32::MAX)
        .saturating_sub(offset)
        .max(1)
}

fn save(file: &Path, data: &[u8]) -> Result<(), Failure> {
    fs::write(file, data).map_err(|error| Failure::unexpected(format!("{} cannot be written: {error}", file.display())))
}

/// The bytes in hexadecimal and as text, each line with its offset in the buffer.
fn dump(offset: u32, data: &[u8]) -> String {
    let config = HexConfig {
        title: false,
        display_offset: offset as usize,
        ..HexConfig::default()
    };
    config_hex(&data, config)
}

#[derive(Serialize)]
struct Report {
    offset: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    /// In hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Report {
    fn new(offset: u32, result: &Result<Vec<u8>, Failure>) -> Self {
        let data = result.as_ref().ok();
        Self {
            offset,
            length: data.map(Vec::len),
            data: data.map(hex::encode),
            error: result.as_ref().err().cloned(),
        }
    }
}

#[cfg(test)]
mod tests;
