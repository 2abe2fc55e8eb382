//! The drivers under `tests/drivers`: most are broken on purpose, for the scenarios that show ntsim catching them; one uses what the shipped driver
//! does not of the safe layer. They are built like the shipped one and never packaged.

use anyhow::Result;
use cargo_metadata::{MetadataCommand, Target};

use crate::workspace::Workspace;

/// The names of the test drivers' packages. What they share is a package there too, but no driver.
///
/// # Errors
///
/// When `cargo metadata` fails.
pub fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let directory = workspace.root().join("tests/drivers");
    let metadata = MetadataCommand::new().current_dir(workspace.root()).no_deps().exec()?;
    let mut names: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| package.manifest_path.as_std_path().starts_with(&directory))
        .filter(|package| package.targets.iter().any(Target::is_cdylib))
        .map(|package| package.name.to_string())
        .collect();
    names.sort();
    Ok(names)
}
