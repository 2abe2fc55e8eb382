//! `cargo xtask bench`: what requests cost the driver.
//!
//! The work is in a program of its own, which is linked with the machine.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    build::{self, Profile},
    process::{self, Show},
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
    /// Measure one request at a time only, not many.
    #[arg(long)]
    quick: bool,
    /// Show by function and by source line where the instructions of the row with this name go.
    #[arg(long, value_name = "ROW", conflicts_with_all = ["against", "row", "json", "quick"])]
    functions: Option<String>,
    /// Write the figures of the release build to the committed baseline, instead of comparing with it.
    #[arg(long, conflicts_with_all = ["image", "row", "functions"])]
    write_baseline: bool,
}

/// Measures. The release build is compared with the committed baseline.
///
/// # Errors
///
/// When a build fails, a driver breaks a rule, or a figure is worse than the baseline's.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let image = match &options.image {
        Some(image) => image.clone(),
        None => build::shipped_driver(workspace, Profile::Release, Show::OnFailure)?,
    };
    let mut bench = program(workspace, &image);
    for (name, value) in [("--row", &options.row), ("--functions", &options.functions)] {
        if let Some(value) = value {
            bench.args([name, value]);
        }
    }
    if let Some(against) = &options.against {
        bench.arg("--against").arg(against);
    }
    let flags = [("--json", options.json), ("--quick", options.quick)];
    bench.args(flags.iter().filter(|(_, given)| *given).map(|(flag, _)| flag));
    let baseline = workspace.bench_baseline();
    if options.write_baseline {
        bench.arg("--write-baseline").arg(baseline);
    } else if options.image.is_none() && options.functions.is_none() && baseline.exists() {
        bench.arg("--baseline").arg(baseline);
    }
    Show::All.run(&mut bench)
}

/// Compares the release build, which must be there, with the committed baseline: one request at a time.
///
/// # Errors
///
/// When a figure is worse, with the figure, the routines and the functions.
pub fn check(workspace: &Workspace) -> Result<String> {
    let image = build::shipped_driver(workspace, Profile::Release, Show::OnFailure)?;
    let mut bench = program(workspace, &image);
    bench
        .args(["--quick", "--check", "--baseline"])
        .arg(workspace.bench_baseline());
    Ok(process::read(&mut bench)?.trim_end().to_owned())
}

/// The program. It runs where this one was called: the user's paths are relative to that.
fn program(workspace: &Workspace, image: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["run", "--quiet", "--manifest-path"])
        .arg(workspace.root().join("Cargo.toml"));
    cargo.args(["--package", PACKAGE, "--", "--image"]).arg(image);
    cargo
}
