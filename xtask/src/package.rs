//! `cargo xtask package`: a driver package that Windows can install, and its check.
//!
//! The work is in a program of its own, whose libraries would make xtask slow to build.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    build::{self, Profile},
    process::Show,
    workspace::Workspace,
};

/// The program's package.
pub const PACKAGE: &str = "driver-package";

/// The directory of the scripts in a package.
pub const SCRIPTS: &str = "scripts";

/// What the program takes the password from: a command line can be seen by others, and is in error messages.
const PASSWORD_VARIABLE: &str = "PFX_PASSWORD";

/// What to do.
#[derive(Debug, Default, clap::Args)]
pub struct Options {
    /// Check the package in this directory, instead of making one.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "sign_with")]
    verify: Option<PathBuf>,
    /// Sign with the certificate in this PFX file, instead of a new test certificate.
    #[arg(long, value_name = "PFX")]
    sign_with: Option<PathBuf>,
    /// The PFX file's password; without it, that in the variable `PFX_PASSWORD`.
    #[arg(long, requires = "sign_with")]
    password: Option<String>,
}

/// Makes a package in `target/package` and checks it, or checks another one.
///
/// # Errors
///
/// When a build fails, the package cannot be made, or something is wrong with it.
pub fn run(workspace: &Workspace, options: &Options, show: Show) -> Result<()> {
    if let Some(directory) = &options.verify {
        return verify(workspace, directory, show);
    }
    let images = build::shipped(workspace, Profile::Release, show)?;
    let output = workspace.package();
    let mut make = program(workspace, "make");
    make.arg("--images").arg(images);
    make.arg("--template").arg(workspace.inf_template());
    make.args(["--program", build::APP]).arg("--output").arg(&output);
    if let Some(pfx) = &options.sign_with {
        make.arg("--sign-with").arg(pfx);
    }
    if let Some(password) = &options.password {
        make.env(PASSWORD_VARIABLE, password);
    }
    show.run(&mut make)?;
    copy_scripts(&workspace.scripts(), &output.join(SCRIPTS))?;
    verify(workspace, &output, show)
}

/// Puts the scripts for Windows into a directory.
///
/// # Errors
///
/// When one cannot be read or written.
pub fn copy_scripts(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if ["ps1", "psm1"].contains(&extension) {
            let target = to.join(path.file_name().unwrap_or_default());
            // As Windows has it, whatever ends the lines here.
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines: String = text.lines().flat_map(|line| [line, "\r\n"]).collect();
            fs::write(&target, lines).with_context(|| format!("cannot write {}", target.display()))?;
        }
    }
    Ok(())
}

fn verify(workspace: &Workspace, directory: &Path, show: Show) -> Result<()> {
    show.run(program(workspace, "verify").arg(directory))
}

/// The program with one of its commands. It runs where this one was called: the user's paths are relative to that.
fn program(workspace: &Workspace, command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["run", "--quiet", "--manifest-path"])
        .arg(workspace.root().join("Cargo.toml"));
    cargo.args(["--package", PACKAGE, "--", command]);
    cargo
}
