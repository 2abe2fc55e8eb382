//! Which packages are compiled for what.

use anyhow::Result;
use cargo_metadata::{Metadata, MetadataCommand, PackageName};

use crate::{build::test_drivers, workspace::Workspace};

/// The host-side package that tests what must not compile.
pub const UI: &str = "wdm-ui";
/// The driver that the image checks must refuse.
pub const PLANTED_PANIC: &str = "planted-panic";
/// The package with the scenarios.
pub const SCENARIOS: &str = "scenarios";
/// The package that checks the scripts for Windows.
pub const SCRIPTS: &str = "script-check";

/// The workspace's packages and all they depend on, as on the host.
///
/// # Errors
///
/// When `cargo metadata` fails.
pub fn metadata(workspace: &Workspace) -> Result<Metadata> {
    Ok(MetadataCommand::new().current_dir(workspace.root()).exec()?)
}

/// The packages that are compiled for the host: the workspace's default members.
///
/// # Errors
///
/// As [`metadata`].
pub fn host(workspace: &Workspace) -> Result<Vec<PackageName>> {
    let metadata = MetadataCommand::new().current_dir(workspace.root()).no_deps().exec()?;
    let members = metadata.workspace_default_packages();
    Ok(members.into_iter().map(|package| package.name.clone()).collect())
}

/// The packages that are compiled for the drivers' target.
///
/// # Errors
///
/// When the test drivers cannot be listed.
pub fn drivers(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = vec!["customdpc".to_owned(), "wdm".to_owned(), PLANTED_PANIC.to_owned()];
    names.extend(test_drivers::names(workspace)?);
    Ok(names)
}
