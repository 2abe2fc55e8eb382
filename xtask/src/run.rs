//! `cargo xtask run`: the driver on ntsim.

use std::{env, ffi::OsString, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    build::{self, Profile},
    process::{self, Show},
    provision,
    workspace::Workspace,
};

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Decides every interleaving; the same seed is the same run.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of processors.
    #[arg(long)]
    cpus: Option<u32>,
    /// The device: `edu` is the model of QEMU's edu, `qemu` is QEMU's own.
    #[arg(long, value_enum, default_value_t)]
    device: Device,
    /// How the device interrupts: `line` or `message`.
    #[arg(long)]
    interrupts: Option<String>,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// A command of eductl's; without one, `factorial 5 10 20`.
    #[arg(last = true)]
    eductl: Vec<OsString>,
}

/// The device that the driver is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Device {
    /// The model of QEMU's edu.
    #[default]
    Edu,
    /// QEMU's own edu, in a QEMU process.
    Qemu,
}

/// What is run when no command is given.
const DEFAULT_COMMAND: [&str; 4] = ["factorial", "5", "10", "20"];

/// Builds what is stale and runs the shipped driver.
///
/// # Errors
///
/// When a build fails, or the run ends with a broken rule or a failed request.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.device == Device::Qemu {
        provision::qemu()?;
    }
    let driver = build::shipped_driver(workspace, Profile::Release, Show::All)?;
    let mut ntsim = Command::new("cargo");
    ntsim.current_dir(workspace.root());
    ntsim.args(["run", "--package", "ntsim", "--", "run"]).arg(&driver);
    ntsim.arg("--replay").arg(replay()?);
    if let Some(seed) = options.seed {
        ntsim.arg("--seed").arg(seed.to_string());
    }
    if let Some(cpus) = options.cpus {
        ntsim.arg("--cpus").arg(cpus.to_string());
    }
    if options.device == Device::Qemu {
        ntsim.args(["--device", "qemu"]);
    }
    if let Some(interrupts) = &options.interrupts {
        ntsim.arg("--interrupts").arg(interrupts);
    }
    if options.trace {
        ntsim.arg("--trace");
    }
    ntsim.arg("--");
    if options.eductl.is_empty() {
        ntsim.args(DEFAULT_COMMAND);
    } else {
        ntsim.args(&options.eductl);
    }
    process::run(&mut ntsim)
}

/// The command that repeats this run.
fn replay() -> Result<String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words = ["cargo", "xtask"]
        .into_iter()
        .chain(arguments.iter().map(String::as_str));
    shlex::try_join(words).context("an argument cannot be quoted")
}
