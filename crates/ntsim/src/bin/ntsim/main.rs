//! Runs drivers on the simulated machine.

mod action;
mod arguments;
mod ddis;
mod fail_each;
mod imports;
mod life;
mod perform;
mod run;
mod script;
mod teller;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Imports(options) => imports::imports(&options),
        Command::Ddis => ddis::ddis(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("ntsim: {error:#}");
        ExitCode::from(run::CANNOT_RUN)
    })
}
