//! `write`: a file into the device's buffer.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::cli::WriteArguments;
use crate::device_buffer;
use crate::transport::Transport;

pub(crate) fn run(
    arguments: &WriteArguments,
    transport: &mut dyn Transport,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    let WriteArguments { offset, data } = arguments;
    let result = device_buffer::write(transport, (*offset).into(), data.bytes());
    let ok = result.is_ok();
    if json {
        let report = Report {
            offset: *offset,
            length: data.bytes().len(),
            error: result.as_ref().err().map(Failure::from),
        };
        write_json(out, "write", ok, &report)?;
        return Ok(Outcome::of(ok));
    }
    let length = data.bytes().len();
    match result {
        Ok(()) => write_line(out, &format_args!("{length} bytes written at offset {offset}"))?,
        Err(error) => write_line(out, &format_args!("write failed: {error}"))?,
    }
    Ok(Outcome::of(ok))
}

#[derive(Serialize)]
struct Report {
    offset: u32,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use crate::commands::Outcome;
    use crate::fake::{FakeDevice, Transfer, run_json, run_text};
    use crate::transport::Completed;

    /// A file with `bytes` bytes, and its name.
    fn file(bytes: usize) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let file = directory.path().join("data.bin");
        fs::write(&file, vec![0xA5; bytes]).expect("it can be written");
        let name = file.to_str().expect("the name is text").to_owned();
        (directory, name)
    }

    #[test]
    fn a_file_goes_into_the_buffer() {
        let (_directory, name) = file(5);
        let mut device = FakeDevice::sound();
        let (outcome, text) = run_text(&mut device, &["write", "--offset", "100", &name]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert_eq!(text, "5 bytes written at offset 100\n");
        let (_, document) = run_json(&mut device, &["read", "--offset", "99", "--length", "7"]);
        assert_eq!(document["data"], "00a5a5a5a5a500");
    }

    #[test]
    fn what_does_not_fit_is_not_written_at_all() {
        let (_directory, name) = file(2);
        let mut device = FakeDevice::sound();
        let (outcome, text) = run_text(&mut device, &["write", "--offset", "4094", &name]);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(
            text,
            "write failed: STATUS_DISK_FULL (0xC000007F): that does not fit into the device's buffer\n"
        );
        let (_, document) = run_json(&mut device, &["read", "--offset", "4094"]);
        assert_eq!(document["data"], "00");
    }

    #[test]
    fn a_short_write_is_a_failure() {
        let (_directory, name) = file(5);
        let mut device = FakeDevice::sound()
            .transferring(|transfer| matches!(transfer, Transfer::Write { .. }).then(|| Ok(Completed::written(4))));
        let (outcome, text) = run_text(&mut device, &["write", &name]);
        assert_eq!(outcome, Outcome::Failed);
        assert!(text.contains("4 bytes of 5 were written"), "{text}");
    }

    #[test]
    fn json_has_offset_and_length() {
        let (_directory, name) = file(3);
        let (outcome, document) = run_json(&mut FakeDevice::sound(), &["write", &name]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert_eq!(
            document,
            json!({"command": "write", "ok": true, "offset": 0, "length": 3})
        );
    }
}
