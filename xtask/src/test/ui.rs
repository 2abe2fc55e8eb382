//! Runs the cases of `crates/wdm/ui` against the `wdm` of the cross build.

use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::Message;

use super::packages::UI;
use crate::{
    cross::{Cross, DRIVER_TARGET},
    process,
    workspace::Workspace,
};

/// Crates that a case may name, apart from `wdm`.
const ALSO_NAMEABLE: [&str; 3] = ["edu", "pinned_init", "zerocopy"];

/// Builds `wdm` for the drivers' target and hands what rustc needs to the harness.
///
/// Built, not only checked: the assertions on constants of generic code, which some cases are about, are evaluated where code is
/// generated, and what `cargo check` leaves behind does not have the generic functions' bodies.
///
/// # Errors
///
/// When `wdm` does not compile or the harness fails.
pub fn run(workspace: &Workspace) -> Result<String> {
    let cross = Cross::prepare(workspace)?;
    let build = || {
        let mut build = cross.cargo("build");
        build.args(["--package", "wdm", "--package", "edu"]);
        build
    };
    // First for errors that can be read, then for the paths of what was built.
    process::read(&mut build())?;
    let messages = process::read(build().args(["--message-format", "json"]))?;

    let mut arguments = cross.rustdocflags();
    let target = workspace.cross_target();
    for dependencies in [target.join(DRIVER_TARGET).join("debug/deps"), target.join("debug/deps")] {
        arguments.push(format!("-Ldependency={}", dependencies.display()));
    }
    for message in Message::parse_stream(messages.as_bytes()) {
        let Message::CompilerArtifact(artifact) = message? else {
            continue;
        };
        let name = artifact.target.name.replace('-', "_");
        if name != "wdm" && !ALSO_NAMEABLE.contains(&name.as_str()) {
            continue;
        }
        let library = artifact.filenames.iter().find(|path| path.extension() == Some("rlib"));
        if let Some(library) = library.filter(|path| path.as_str().contains(DRIVER_TARGET)) {
            arguments.push(format!("--extern={name}={library}"));
        }
    }
    arguments
        .iter()
        .find(|argument| argument.starts_with("--extern=wdm="))
        .context("cargo build named no library of wdm")?;

    let mut harness = Command::new("cargo");
    harness.current_dir(workspace.root()).args(["test", "--package", UI]);
    harness
        .env("WDM_UI_TARGET", DRIVER_TARGET)
        .env("WDM_UI_RUSTC_ARGUMENTS", arguments.join("\n"));
    process::read(&mut harness)?;
    Ok(String::new())
}
