//! Runs a driver on the simulated machine.

mod arguments;
mod run;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let arguments::Command::Run(options) = arguments.command;
    match run::run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ntsim: {error:#}");
            ExitCode::from(run::CANNOT_RUN)
        }
    }
}
