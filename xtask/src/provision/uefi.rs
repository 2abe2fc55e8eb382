//! UEFI firmware for QEMU: what Windows 11 is installed with.

use std::path::Path;

use anyhow::Result;

use super::packages::{self, Requirement};
use crate::vm::UEFI_CODE;

const REQUIREMENTS: [Requirement; 1] = [Requirement {
    what: "UEFI firmware for QEMU, to start Windows with",
    package: "ovmf",
    present: || Path::new(UEFI_CODE).is_file(),
}];

/// Installs it, if it is not there yet.
///
/// # Errors
///
/// When it cannot be installed.
pub fn ensure() -> Result<()> {
    packages::ensure(&REQUIREMENTS)
}
