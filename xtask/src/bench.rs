//! `cargo xtask bench`: what requests cost the driver.
//!
//! The work is in a program of its own, which is linked with the machine.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    build::{self, Profile},
    process::Show,
    workspace::Workspace,
};

/// The program's package.
const PACKAGE: &str = "driver-bench";

/// What to measure.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Another image of the driver, instead of the release build, which is built if it is stale.
    #[arg(long, value_name = "SYS")]
    image: Option<PathBuf>,
    /// A driver with the same interface, to compare with.
    #[arg(long, value_name = "SYS")]
    against: Option<PathBuf>,
    /// Only the rows that have this in their names.
    #[arg(long)]
    row: Option<String>,
    /// Print a JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Show by function and by source line where the instructions of the row with this name go.
    #[arg(long, value_name = "ROW")]
    functions: Option<String>,
}

/// Measures.
///
/// # Errors
///
/// When a build fails, or a driver breaks a rule.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let image = match &options.image {
        Some(image) => image.clone(),
        None => build::shipped_driver(workspace, Profile::Release, Show::OnFailure)?,
    };
    // It runs where this one was called: the user's paths are relative to that.
    let mut bench = Command::new("cargo");
    bench
        .args(["run", "--quiet", "--manifest-path"])
        .arg(workspace.root().join("Cargo.toml"));
    bench.args(["--package", PACKAGE, "--", "--image"]).arg(image);
    for (name, value) in [("--row", &options.row), ("--functions", &options.functions)] {
        if let Some(value) = value {
            bench.args([name, value]);
        }
    }
    if let Some(against) = &options.against {
        bench.arg("--against").arg(against);
    }
    if options.json {
        bench.arg("--json");
    }
    Show::All.run(&mut bench)
}
