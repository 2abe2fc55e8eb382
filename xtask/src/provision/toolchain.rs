//! The toolchain that builds the workspace.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use rustc_version::VersionMeta;

use crate::{process, workspace::Workspace};

/// A Rust toolchain.
pub struct Toolchain {
    /// Its sysroot.
    pub sysroot: PathBuf,
    /// Its compiler's version.
    pub version: VersionMeta,
}

impl Toolchain {
    /// Asks the workspace's `rustc`.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn query(workspace: &Workspace) -> Result<Self> {
        let rustc = || {
            let mut rustc = Command::new("rustc");
            rustc.current_dir(workspace.root());
            rustc
        };
        Ok(Self {
            sysroot: process::read(rustc().args(["--print", "sysroot"]))?.trim().into(),
            version: VersionMeta::for_command(rustc()).context("cannot ask rustc for its version")?,
        })
    }

    /// The name under which the toolchain's own libraries know their source, whatever machine they are used on.
    pub fn library_source_name(&self) -> String {
        format!("/rustc/{}", self.version.commit_hash.as_deref().unwrap_or("unknown"))
    }
}
