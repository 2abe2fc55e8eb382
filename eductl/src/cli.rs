//! The command line.

use std::num::ParseIntError;

use clap::{Parser, Subcommand};

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
}

/// Reads a 32-bit number, decimal or hexadecimal with `0x`.
fn parse_number(text: &str) -> Result<u32, ParseIntError> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
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
    fn global_options_may_follow_the_command() {
        let cli = Cli::parse_from(["eductl", "info", "--json", "--device", "1"]);
        assert!(cli.json);
        assert_eq!(cli.device, Some(1));
    }
}
