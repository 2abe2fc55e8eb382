//! eductl for the machine it runs on: Windows, or an explanation.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use eductl::cli::Cli;
use eductl::refusal::{self, NOTHING_SENT, Refusal};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(&cli),
        Err(error) => match refusal::report_unparsed(&error, &arguments, &mut io::stdout()) {
            Ok(code) => code.into(),
            Err(error) => output_lost(&error),
        },
    }
}

#[cfg(windows)]
fn run(cli: &Cli) -> ExitCode {
    use eductl::windows::{OverlappedDevice, StopSignal};

    let opened = StopSignal::on_ctrl_c().and_then(|stop| OverlappedDevice::open(cli.device, stop));
    let mut device = match opened {
        Ok(device) => device,
        Err(error) => return refuse(cli, &Refusal::open(cli, &error), &error.to_string()),
    };
    match eductl::run(cli, &mut device, &mut io::stdout()) {
        Ok(outcome) => outcome.exit_code().into(),
        Err(error) => output_lost(&error),
    }
}

#[cfg(not(windows))]
fn run(cli: &Cli) -> ExitCode {
    let command: Vec<String> = std::env::args().skip(1).collect();
    let message = format!(
        "this system has no Windows drivers to talk to.\n\
         To run the command on the simulated machine, which loads the very same driver:\n    \
         cargo xtask run -- {}",
        command.join(" ")
    );
    refuse(cli, &Refusal::unsupported(cli, &message), &message)
}

/// Says that nothing was sent, and why.
fn refuse(cli: &Cli, refusal: &Refusal, message: &str) -> ExitCode {
    if cli.json {
        if let Err(error) = refusal.write_json(&mut io::stdout()) {
            return output_lost(&error);
        }
    } else {
        eprintln!("eductl: {message}");
    }
    NOTHING_SENT.into()
}

fn output_lost(error: &io::Error) -> ExitCode {
    eprintln!("eductl: cannot write the output: {error}");
    ExitCode::FAILURE
}
