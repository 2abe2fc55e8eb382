//! `cargo xtask`: everything that is done with customdpc on a Linux machine.

mod bench;
mod build;
mod cross;
mod image;
mod lockfiles;
mod package;
mod process;
mod provision;
mod run;
mod test;
mod vm;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{build::Profile, cross::Cross, process::Show, workspace::Workspace};

/// Set-up, cross build, run and test of customdpc.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the driver, the test drivers and eductl.exe, and check the images.
    Build {
        /// Unoptimised, with debug assertions.
        #[arg(long)]
        debug: bool,
    },
    /// Run the driver on ntsim, building what is stale.
    Run(run::Options),
    /// Count on ntsim what requests cost the driver: instructions, calls, locks, stack.
    Bench(bench::Options),
    /// Make a signed driver package of the release build in target/package, and check it.
    Package(package::Options),
    /// Run the driver's tests in a virtual machine, in a user's image of Windows that is not changed.
    Vm(vm::Options),
    /// Format, lints, dependencies, builds, and every test. One line per step.
    Test {
        /// Only the steps that have this in their names.
        filter: Option<String>,
    },
    /// Run cargo for the driver's target, for example `cargo xtask cargo check -p wdm`.
    Cargo {
        /// Cargo's command line.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::locate();
    match command {
        Command::Vm(options) => return Ok(vm::run(&workspace, &options)?.into()),
        Command::Build { debug } => {
            let profile = Profile::from_debug_flag(debug);
            let images = build::build(&workspace, profile, Show::All)?;
            println!(
                "{} images checked: {}",
                images.len(),
                workspace.output(profile.directory()).display()
            );
        }
        Command::Run(options) => run::run(&workspace, &options)?,
        Command::Bench(options) => bench::run(&workspace, &options)?,
        Command::Package(options) => package::run(&workspace, &options, Show::All)?,
        Command::Test { filter } => test::test(&workspace, &filter.unwrap_or_default())?,
        Command::Cargo { arguments } => {
            let cross = Cross::prepare(&workspace)?;
            let (subcommand, arguments) = arguments.split_first().expect("clap requires one argument");
            process::run(cross.cargo(subcommand).args(arguments))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
