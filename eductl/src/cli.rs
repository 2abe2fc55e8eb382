//! The command line.

use std::num::{NonZeroU32, ParseIntError};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use edu::ioctl::{MAX_ECHO, RaiseInput, WaitInput};
use thiserror::Error;

use crate::file_contents::FileContents;

/// Talks to QEMU's edu device through the customdpc driver.
#[derive(Clone, Debug, Parser)]
#[command(name = "eductl", version, arg_required_else_help = true)]
pub struct Cli {
    /// Which device, counted from 0, when there are several
    #[arg(long, value_name = "N", global = true)]
    pub device: Option<usize>,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with the device.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show the device's revision and the driver's version
    Info,

    /// Check that the device answers: it inverts every bit of a value
    Liveness {
        /// The value to send, decimal or 0x…
        #[arg(default_value = "0x5AA5C33C", value_parser = parse_number)]
        value: u32,
    },

    /// Have the device compute factorials modulo 2^32, all submitted at once
    Factorial {
        /// The numbers, decimal or 0x…
        #[arg(value_name = "N", required = true, value_parser = parse_number)]
        numbers: Vec<u32>,
    },

    /// Have the device raise an interrupt, and wait until the driver has seen it
    Raise {
        /// The interrupt causes, decimal or 0x…; all but 0x1 and 0x100, which are the device's own, and 0x80000000
        #[arg(value_name = "BITS", value_parser = parse_causes)]
        causes: RaiseInput,
    },

    /// Wait for interrupts, whoever raises them; Ctrl-C ends it
    Wait {
        /// The interrupt causes of which one is enough, decimal or 0x…
        #[arg(default_value = "0xFFFFFFFF", value_parser = parse_mask)]
        mask: WaitInput,

        /// How many times to wait
        #[arg(long, value_name = "N", default_value = "1")]
        count: NonZeroU32,
    },

    /// Read the device's buffer
    Read(ReadArguments),

    /// Write a file into the device's buffer
    Write(WriteArguments),

    /// Send a file through the device's buffer and back by DMA, and compare; about 80 ms for each KiB
    Echo(EchoArguments),

    /// Show what the driver has counted
    Stats {
        /// Have it count from 0 again afterwards
        #[arg(long)]
        reset: bool,
    },

    /// Try everything; nobody else should use the device meanwhile
    Selftest,
}

impl Command {
    /// The name that it has on the command line and in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Liveness { .. } => "liveness",
            Self::Factorial { .. } => "factorial",
            Self::Raise { .. } => "raise",
            Self::Wait { .. } => "wait",
            Self::Read(_) => "read",
            Self::Write(_) => "write",
            Self::Echo(_) => "echo",
            Self::Stats { .. } => "stats",
            Self::Selftest => "selftest",
        }
    }
}

/// What to read, and where to.
#[derive(Args, Clone, Debug)]
pub struct ReadArguments {
    /// Where in the buffer to begin, in bytes, decimal or 0x…
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = parse_number)]
    pub offset: u32,

    /// How many bytes, decimal or 0x…; without it, all up to the end
    #[arg(long, value_name = "BYTES", value_parser = parse_number)]
    pub length: Option<u32>,

    /// Save them in this file instead of showing them
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What to write, and where to.
#[derive(Args, Clone, Debug)]
pub struct WriteArguments {
    /// Where in the buffer to begin, in bytes, decimal or 0x…
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = parse_number)]
    pub offset: u32,

    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    pub data: FileContents,
}

/// What to send, and how.
#[derive(Args, Clone, Debug)]
pub struct EchoArguments {
    /// How many bytes go in one request, up to 1048576, decimal or 0x…
    #[arg(long, value_name = "BYTES", default_value = "0x10000", value_parser = parse_request_size)]
    request_size: usize,

    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    pub data: FileContents,
}

impl EchoArguments {
    /// How many bytes go in one request, at the most; at least 1.
    #[must_use]
    pub const fn request_size(&self) -> usize {
        self.request_size
    }
}

/// Why a number is no size of an echo request.
#[derive(Debug, Error)]
enum RequestSizeError {
    #[error(transparent)]
    Number(#[from] ParseIntError),

    #[error("a request has 1 to {MAX_ECHO} bytes")]
    OutOfRange,
}

/// Reads the size of an echo request.
fn parse_request_size(text: &str) -> Result<usize, RequestSizeError> {
    let size = parse_number(text)? as usize;
    if (1..=MAX_ECHO).contains(&size) {
        Ok(size)
    } else {
        Err(RequestSizeError::OutOfRange)
    }
}

/// Reads a 32-bit number, decimal or hexadecimal with `0x`.
fn parse_number(text: &str) -> Result<u32, ParseIntError> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    }
}

/// Why a number is no set of interrupt causes for a request.
#[derive(Debug, Error)]
enum CausesError {
    #[error(transparent)]
    Number(#[from] ParseIntError),

    #[error("there is no interrupt cause in it")]
    None,

    #[error("{:#x} cannot be raised: the device or the driver needs it for itself", .0 & !RaiseInput::RAISABLE.bits())]
    NotRaisable(u32),
}

/// Reads what may be raised.
fn parse_causes(text: &str) -> Result<RaiseInput, CausesError> {
    let input = RaiseInput {
        causes: parse_number(text)?,
    };
    match input.causes {
        _ if input.is_valid() => Ok(input),
        0 => Err(CausesError::None),
        causes => Err(CausesError::NotRaisable(causes)),
    }
}

/// Reads what can be waited for.
fn parse_mask(text: &str) -> Result<WaitInput, CausesError> {
    let input = WaitInput {
        mask: parse_number(text)?,
    };
    if input.is_valid() {
        Ok(input)
    } else {
        Err(CausesError::None)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_named_as_on_the_command_line() {
        for arguments in [
            &["info"] as &[&str],
            &["raise", "0x10"],
            &["stats", "--reset"],
            &["selftest"],
        ] {
            let cli = Cli::parse_from(["eductl"].iter().chain(arguments));
            assert_eq!(cli.command.name(), arguments[0]);
        }
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        let cli = Cli::parse_from(["eductl", "factorial", "5", "0x0A", "4294967295"]);
        let Command::Factorial { numbers } = cli.command else {
            panic!("factorial was asked for")
        };
        assert_eq!(numbers, [5, 10, u32::MAX]);
    }

    #[test]
    fn what_does_not_fit_32_bits_is_refused() {
        for number in ["4294967296", "0x100000000", "-1", "five", "0x", ""] {
            assert!(
                Cli::try_parse_from(["eductl", "factorial", number]).is_err(),
                "{number:?}"
            );
        }
    }

    #[test]
    fn factorial_needs_a_number() {
        assert!(Cli::try_parse_from(["eductl", "factorial"]).is_err());
    }

    #[test]
    fn only_what_may_be_raised_is_taken() {
        let cli = Cli::parse_from(["eductl", "raise", "0x30"]);
        assert!(matches!(cli.command, Command::Raise { causes } if causes.causes == 0x30));
        for (causes, complaint) in [
            ("0", "no interrupt cause"),
            ("0x1", "0x1 cannot be raised"),
            ("0x110", "0x100 cannot be raised"),
            ("0x80000000", "0x80000000 cannot be raised"),
            ("0xFFFFFFFF", "0x80000101 cannot be raised"),
        ] {
            let error = Cli::try_parse_from(["eductl", "raise", causes]).expect_err(causes);
            assert!(error.to_string().contains(complaint), "{error}");
        }
    }

    #[test]
    fn a_wait_is_for_any_cause_and_once_unless_told_otherwise() {
        let wait = |arguments: &[&str]| match Cli::try_parse_from(["eductl", "wait"].iter().chain(arguments)) {
            Ok(Cli {
                command: Command::Wait { mask, count },
                ..
            }) => Some((mask.mask, count.get())),
            _ => None,
        };
        assert_eq!(wait(&[]), Some((u32::MAX, 1)));
        assert_eq!(wait(&["0x101", "--count", "3"]), Some((0x101, 3)));
        assert_eq!(wait(&["0"]), None);
        assert_eq!(wait(&["--count", "0"]), None);
    }

    #[test]
    fn an_echo_request_has_a_size() {
        for (size, taken) in [
            ("1", true),
            ("0x100000", true),
            ("0", false),
            ("1048577", false),
            ("x", false),
        ] {
            let parsed = Cli::try_parse_from(["eductl", "echo", "--request-size", size, "/dev/null"]);
            assert_eq!(parsed.is_ok(), taken && cfg!(unix), "{size}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_wrong_command_line() {
        for command in ["write", "echo"] {
            let error = Cli::try_parse_from(["eductl", command, "no/such/file"]).expect_err("there is none");
            assert!(error.to_string().contains("cannot be read"), "{error}");
        }
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["eductl", "info", "--json", "--device", "1"]);
        assert!(cli.json);
        assert_eq!(cli.device, Some(1));
    }
}
