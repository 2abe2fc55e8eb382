//! eductl for the machine it runs on: Windows, or an explanation.

use std::process::ExitCode;

use clap::Parser;
use eductl::cli::Cli;

/// What clap exits with on wrong usage, too.
const CANNOT_START: u8 = 2;

fn main() -> ExitCode {
    run(&Cli::parse())
}

#[cfg(windows)]
fn run(cli: &Cli) -> ExitCode {
    use eductl::windows::{OverlappedDevice, StopSignal};

    let opened = StopSignal::on_ctrl_c().and_then(|stop| OverlappedDevice::open(cli.device, stop));
    let mut device = match opened {
        Ok(device) => device,
        Err(error) => {
            eprintln!("eductl: {error}");
            return CANNOT_START.into();
        }
    };
    match eductl::run(cli, &mut device, &mut std::io::stdout()) {
        Ok(outcome) => outcome.exit_code().into(),
        Err(error) => {
            eprintln!("eductl: cannot write the output: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(windows))]
fn run(_cli: &Cli) -> ExitCode {
    eprintln!("eductl: this system has no Windows drivers to talk to.");
    eprintln!("To run the command on the simulated machine, which loads the very same driver:");
    eprintln!(
        "    cargo xtask run -- {}",
        std::env::args().skip(1).collect::<Vec<_>>().join(" ")
    );
    CANNOT_START.into()
}
