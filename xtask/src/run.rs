//! `cargo xtask run`: the driver on ntsim.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{
    build::{self, Profile},
    process::{self, Show},
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
    /// How the device interrupts: `line` or `message`.
    #[arg(long)]
    interrupts: Option<String>,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// A command of eductl's, for example `factorial 5 10 20`.
    #[arg(last = true)]
    eductl: Vec<OsString>,
}

/// Builds what is stale and runs the shipped driver.
///
/// # Errors
///
/// When a build fails, or the run ends with a broken rule or a failed request.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let driver = build::shipped_driver(workspace, Profile::Release, Show::All)?;
    let mut ntsim = Command::new("cargo");
    ntsim.current_dir(workspace.root());
    ntsim
        .args(["run", "--package", "ntsim", "--", "run", "--image"])
        .arg(&driver);
    if let Some(seed) = options.seed {
        ntsim.arg("--seed").arg(seed.to_string());
    }
    if let Some(cpus) = options.cpus {
        ntsim.arg("--cpus").arg(cpus.to_string());
    }
    if let Some(interrupts) = &options.interrupts {
        ntsim.arg("--interrupts").arg(interrupts);
    }
    if options.trace {
        ntsim.arg("--trace");
    }
    if !options.eductl.is_empty() {
        ntsim.arg("--").args(&options.eductl);
    }
    process::run(&mut ntsim)
}
