//! The command line.

use std::num::{NonZeroU32, ParseIntError};

use clap::{Parser, Subcommand};
use edu::ioctl::{RaiseInput, WaitInput};
use thiserror::Error;

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

    /// Show what the driver has counted
    Stats {
        /// Have it count from 0 again afterwards
        #[arg(long)]
        reset: bool,
    },

    /// Try everything; nobody else should use the device meanwhile
    Selftest,
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
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["eductl", "info", "--json", "--device", "1"]);
        assert!(cli.json);
        assert_eq!(cli.device, Some(1));
    }
}
