//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use ntsim::bus::InterruptMode;

/// Runs Windows drivers on a simulated machine.
#[derive(Debug, Parser)]
#[command(name = "ntsim", version)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Boot a driver with an edu device, run an eductl command, shut down, and tell the story
    Run(Options),
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The driver image; its PDB is expected beside it
    #[arg(long, value_name = "SYS")]
    pub(crate) image: PathBuf,

    /// Decides every interleaving: the same seed is the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) cpus: usize,

    /// How the device interrupts
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub(crate) interrupts: Interrupts,

    /// Print every event, not the story only
    #[arg(long)]
    pub(crate) trace: bool,

    /// A command of eductl's, for example `factorial 5 10 20`
    #[arg(last = true, value_name = "EDUCTL")]
    pub(crate) eductl: Vec<OsString>,
}

/// How a device interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Interrupts {
    /// By a line (`INTx`)
    #[default]
    Line,
    /// By a message (MSI)
    Message,
}

impl From<Interrupts> for InterruptMode {
    fn from(interrupts: Interrupts) -> Self {
        match interrupts {
            Interrupts::Line => Self::Line,
            Interrupts::Message => Self::Message,
        }
    }
}

impl Options {
    /// The command that repeats this run.
    pub(crate) fn replay(&self) -> String {
        let mut command = format!("cargo xtask run --seed {} --cpus {}", self.seed, self.cpus);
        if self.interrupts == Interrupts::Message {
            command.push_str(" --interrupts message");
        }
        if !self.eductl.is_empty() {
            command.push_str(" --");
            for word in &self.eductl {
                command.push(' ');
                command.push_str(&word.to_string_lossy());
            }
        }
        command
    }
}
