//! QEMU, whose edu device the model is compared with, and which can stand in for the model.

use anyhow::Result;

use super::packages::{self, Requirement, on_path};

/// What QEMU's device needs.
const REQUIREMENTS: [Requirement; 1] = [Requirement {
    what: "QEMU for x86-64, for its edu device",
    package: "qemu-system-x86",
    present: || on_path(PROGRAM),
}];

/// The program, as ntsim starts it.
const PROGRAM: &str = "qemu-system-x86_64";

/// Installs QEMU, if it is not there yet.
///
/// # Errors
///
/// When it cannot be installed.
pub fn ensure() -> Result<()> {
    packages::ensure(&REQUIREMENTS)
}
