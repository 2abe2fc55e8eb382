//! Set-up: what a cross build needs and rustup does not bring.
//!
//! Everything lands under `target/cross` and is made once; when nothing is missing, this costs a few file-system look-ups.

mod case_overlay;
mod clang;
mod headers;
mod import_libs;
mod kit;
mod library_source;
mod packages;
mod qemu;
mod signify;
mod target_libs;
mod toolchain;
mod vm;

use std::path::PathBuf;

use anyhow::Result;

pub use headers::Headers;
pub use qemu::ensure as qemu;
pub use signify::ensure as signify;
use toolchain::Toolchain;
pub use vm::{qemu_img, uefi};

use crate::workspace::Workspace;

/// What set-up found or made.
pub struct Provisioned {
    /// Directory of `ntoskrnl.lib` and its companions.
    pub import_libraries: PathBuf,
    /// The kit's headers.
    pub headers: Headers,
    /// A sysroot with the target's libraries, where the toolchain's own has none.
    pub sysroot: Option<PathBuf>,
    /// Where the source of Rust's library may lie, and the name that it shall have in debug information.
    pub library_source: (PathBuf, String),
}

impl Provisioned {
    /// What was found, in a few words.
    pub fn summary(&self) -> String {
        let libraries = match self.sysroot {
            Some(_) => "libraries built from source",
            None => "the toolchain's libraries",
        };
        format!("{} headers, {libraries}", self.headers.flavour())
    }
}

/// Sets up what is missing.
///
/// # Errors
///
/// When something is missing and cannot be fetched.
pub fn ensure(workspace: &Workspace) -> Result<Provisioned> {
    packages::ensure(&packages::FOR_BUILDS)?;
    let toolchain = Toolchain::query(workspace)?;
    Ok(Provisioned {
        import_libraries: import_libs::ensure(workspace)?,
        headers: headers::locate(workspace)?,
        sysroot: target_libs::ensure(workspace, &toolchain)?,
        library_source: (
            toolchain.sysroot.join("lib/rustlib/src/rust"),
            toolchain.library_source_name(),
        ),
    })
}
