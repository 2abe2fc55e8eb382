//! What eductl does, apart from how it reaches the device.
//!
//! A program hands [`run`] a parsed command line ([`cli::Cli`]), a [`Transport`] and somewhere to write. Two transports exist:
//! `windows`, here, opens the device interface that the driver registers; the simulated machine brings its own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`transport`] | the trait that a transport implements: submit, wait, cancel |
//! | [`request`] | typed requests over a transport |
//! | [`device_buffer`] | reads, writes and echoes of the device's buffer over a transport |
//! | [`file_contents`] | a file named on the command line |
//! | [`status`] | Win32 errors and NTSTATUS values, in words |
//! | [`discovery`] | which of the devices present is meant |
//! | [`refusal`] | what is said when nothing was sent |
//! | `windows` | the transport for Windows |

pub mod cli;
mod commands;
pub mod device_buffer;
pub mod discovery;
#[cfg(test)]
mod fake;
pub mod file_contents;
pub mod refusal;
pub mod request;
pub mod status;
pub mod transport;
#[cfg(windows)]
pub mod windows;

use std::io::{self, Write};

pub use commands::Outcome;
pub use status::DeviceError;
pub use transport::{Completed, RequestId, Transport};

use cli::{Cli, Command};
use commands::{echo, factorial, info, liveness, raise, read, selftest, stats, wait, write};

/// Carries out `cli` on the device behind `transport` and writes what came of it to `out`.
///
/// A request that fails is part of the output and makes the outcome [`Outcome::Failed`]; the others are shown all the same.
/// [`Cli::device`] is for whoever makes the transport: it is not looked at here.
///
/// # Errors
/// `out` could not be written to. Requests under way have been cancelled then.
///
/// ```no_run
/// use clap::Parser;
///
/// # fn example(transport: &mut dyn eductl::Transport) -> std::io::Result<()> {
/// let cli = eductl::cli::Cli::parse_from(["eductl", "factorial", "5", "10"]);
/// let outcome = eductl::run(&cli, transport, &mut std::io::stdout())?;
/// std::process::exit(outcome.exit_code().into());
/// # }
/// ```
pub fn run(cli: &Cli, transport: &mut dyn Transport, out: &mut dyn Write) -> io::Result<Outcome> {
    match &cli.command {
        Command::Info => info::run(transport, cli.json, out),
        Command::Liveness { value } => liveness::run(*value, transport, cli.json, out),
        Command::Factorial { numbers } => factorial::run(numbers, transport, cli.json, out),
        Command::Raise { causes } => raise::run(*causes, transport, cli.json, out),
        Command::Wait { mask, count } => wait::run(*mask, *count, transport, cli.json, out),
        Command::Read(arguments) => read::run(arguments, transport, cli.json, out),
        Command::Write(arguments) => write::run(arguments, transport, cli.json, out),
        Command::Echo(arguments) => echo::run(arguments, transport, cli.json, out),
        Command::Stats { reset } => stats::run(*reset, transport, cli.json, out),
        Command::Selftest => selftest::run(transport, cli.json, out),
    }
}
