//! The disk that the guest is given: the package, the scripts, and what to do.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Options, install::ANSWER_FILE};

/// What Driver Verifier is set to, run by run: the standard settings, then additional rule classes that concern a WDM driver.
/// `windows/Set-DriverVerifier.ps1` knows the names.
pub const VERIFIER: [&str; 7] = [
    "Standard",
    "ForcePending",
    "IrpLogging",
    "InvariantMdlDriver",
    "DelayFuzzing",
    "CodeIntegrity",
    "LowResources",
];

/// What says to the guest what to do.
const PLAN: &str = "plan.json";

/// Whether the directory is such a disk, or that of an installation.
pub fn is_one(directory: &Path) -> bool {
    [PLAN, ANSWER_FILE].iter().any(|name| directory.join(name).is_file())
}

/// Makes the directory that becomes the disk.
///
/// # Errors
///
/// When the package is none, or something cannot be copied.
pub fn make(directory: &Path, package: &Path, options: &Options) -> Result<()> {
    for needed in ["customdpc.inf", "scripts/Invoke-VmTest.ps1"] {
        ensure!(
            package.join(needed).is_file(),
            "{} is no package of `cargo xtask package`: it has no {needed}",
            package.display()
        );
    }
    copy(package, directory)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let plan = json!({
        // The guest tells by it whether it goes on with a run or begins one.
        "run": format!("{}", now.as_millis()),
        "seconds": options.seconds,
        "verifier": options.verifier,
    });
    let path = directory.join(PLAN);
    fs::write(&path, plan.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    // All of them before the first is copied: the copy may lie in what is copied.
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in entries {
        let path = entry.path();
        let target = to.join(path.file_name().context("an entry has a name")?);
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
