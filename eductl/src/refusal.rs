//! What is said when nothing was sent to a device: wrong usage, or no device.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::Cli;
use crate::commands::failure::Failure;
use crate::discovery::ChoiceError;

/// What to exit with when nothing was sent. Clap exits with the same on wrong usage.
pub const NOTHING_SENT: u8 = 2;

/// Why a command was not carried out.
#[derive(Serialize)]
pub struct Refusal {
    /// The command's name, when it is known.
    command: Option<&'static str>,
    ok: bool,
    error: Failure,
}

impl Refusal {
    /// The command line is wrong.
    #[must_use]
    pub fn usage(error: &clap::Error) -> Self {
        Self::new(None, Failure::of_kind("usage", error.render().to_string().trim_end()))
    }

    /// There is no way to a device on this system.
    #[must_use]
    pub fn unsupported(cli: &Cli, message: &str) -> Self {
        Self::new(Some(cli), Failure::of_kind("unsupported", message))
    }

    /// None of the devices present was chosen.
    #[must_use]
    pub fn choice(cli: &Cli, error: &ChoiceError) -> Self {
        Self::new(Some(cli), Failure::from(error))
    }

    /// The device could not be opened.
    #[cfg(windows)]
    #[must_use]
    pub fn open(cli: &Cli, error: &crate::windows::OpenError) -> Self {
        Self::new(Some(cli), Failure::from(error))
    }

    fn new(cli: Option<&Cli>, error: Failure) -> Self {
        Self {
            command: cli.map(|cli| cli.command.name()),
            ok: false,
            error,
        }
    }

    /// Writes it as one JSON document.
    ///
    /// # Errors
    /// `out` could not be written to.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}

/// Whether a command line that may be wrong asks for JSON.
pub fn asks_for_json<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> bool {
    arguments
        .into_iter()
        .take_while(|argument| argument.as_ref() != "--")
        .any(|argument| argument.as_ref() == "--json")
}

/// Writes what clap has to say about a command line, in JSON if that was asked for, and returns the exit code. Help and version,
/// which are no errors, are text always.
///
/// # Errors
/// The output could not be written to.
pub fn report_unparsed(error: &clap::Error, arguments: &[OsString], out: &mut dyn Write) -> io::Result<u8> {
    if !error.use_stderr() {
        error.print()?;
        return Ok(0);
    }
    if asks_for_json(arguments) {
        Refusal::usage(error).write_json(out)?;
    } else {
        error.print()?;
    }
    Ok(NOTHING_SENT)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::parse;

    fn document(refusal: &Refusal) -> Value {
        let mut out = Vec::new();
        refusal.write_json(&mut out).expect("a vector takes everything");
        serde_json::from_slice(&out).expect("it is one JSON document")
    }

    /// What `eductl` prints for a wrong command line.
    fn unparsed(arguments: &[&str]) -> (u8, String) {
        let arguments: Vec<OsString> = ["eductl"].iter().chain(arguments).map(OsString::from).collect();
        let error = Cli::try_parse_from(&arguments).expect_err("the command line is wrong");
        let mut out = Vec::new();
        let code = report_unparsed(&error, &arguments, &mut out).expect("a vector takes everything");
        (code, String::from_utf8(out).expect("output is UTF-8"))
    }

    #[test]
    fn wrong_usage_is_a_document_if_json_was_asked_for() {
        for arguments in [
            &["factorial", "five", "--json"] as &[&str],
            &["--json", "no-such-command"],
            &["--json", "write", "no/such/file"],
            &["--json"],
        ] {
            let (code, text) = unparsed(arguments);
            assert_eq!(code, 2, "{arguments:?}");
            let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(document["command"], Value::Null);
            assert_eq!(document["ok"], false);
            assert_eq!(document["error"]["kind"], "usage");
            assert_ne!(document["error"]["message"], "");
        }
    }

    #[test]
    fn wrong_usage_without_json_is_left_to_clap() {
        assert_eq!(unparsed(&["factorial", "five"]), (2, String::new()));
        assert_eq!(unparsed(&["factorial", "--", "five", "--json"]), (2, String::new()));
    }

    #[test]
    fn the_absence_of_a_device_has_the_command_and_a_kind() {
        let cli = parse(&["--json", "stats"]);
        let document = document(&Refusal::choice(&cli, &ChoiceError::NoDevice));
        assert_eq!(document["command"], "stats");
        assert_eq!(document["error"]["kind"], "no_device");
        let message = document["error"]["message"].as_str().expect("there is a message");
        assert!(message.starts_with("no edu device is ready"));
    }

    #[test]
    fn a_system_without_drivers_is_a_document_too() {
        let cli = parse(&["--json", "factorial", "5"]);
        assert_eq!(
            document(&Refusal::unsupported(&cli, "not here")),
            json!({ "command": "factorial", "ok": false, "error": { "kind": "unsupported", "message": "not here" } })
        );
    }
}
