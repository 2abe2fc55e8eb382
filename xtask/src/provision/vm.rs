//! What a virtual machine with Windows needs beside QEMU.

use std::path::Path;

use anyhow::Result;

use super::packages::{self, Requirement, on_path};
use crate::vm::UEFI_CODE;

const UEFI: [Requirement; 1] = [Requirement {
    what: "UEFI firmware for QEMU, to start Windows with",
    package: "ovmf",
    present: || Path::new(UEFI_CODE).is_file(),
}];

const QEMU_IMG: [Requirement; 1] = [Requirement {
    what: "qemu-img, to make a disk image",
    package: "qemu-utils",
    present: || on_path("qemu-img"),
}];

/// Installs UEFI firmware, if it is not there yet: what Windows 11 is installed with.
///
/// # Errors
///
/// When it cannot be installed.
pub fn uefi() -> Result<()> {
    packages::ensure(&UEFI)
}

/// Installs the program that makes disk images, if it is not there yet.
///
/// # Errors
///
/// When it cannot be installed.
pub fn qemu_img() -> Result<()> {
    packages::ensure(&QEMU_IMG)
}
