//! Which headers describe the kernel's API: a WDK's, or those of mingw-w64.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    case_overlay,
    clang::{self, Clang},
    kit,
};
use crate::workspace::Workspace;

/// Where Debian's mingw-w64-common puts its headers.
pub const MINGW_INCLUDE: &str = "/usr/share/mingw-w64/include";

/// The headers that a build uses.
pub struct Headers {
    flavour: &'static str,
    /// Their directories, separated as in `PATH`.
    include: OsString,
    overlay: Option<PathBuf>,
    clang: Clang,
}

impl Headers {
    /// Whose headers they are.
    pub fn flavour(&self) -> &'static str {
        self.flavour
    }

    /// The environment that tells the stand-in for wdk-build about these headers.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment = vec![
            ("WDK_CROSS_HEADERS", self.flavour.into()),
            ("WDK_CROSS_INCLUDE", self.include.clone()),
            ("WDK_CROSS_CLANG_RESOURCES", self.clang.resources.clone().into()),
            ("LIBCLANG_PATH", self.clang.library.clone().into()),
        ];
        environment.extend(
            self.overlay
                .clone()
                .map(|overlay| ("WDK_CROSS_VFS_OVERLAY", overlay.into())),
        );
        environment
    }
}

/// Finds the headers: those of the kit that `WDKContentRoot` names, else mingw-w64's.
///
/// # Errors
///
/// When `WDKContentRoot` is set and there is no kit with kernel headers, or no libclang is found to read headers with.
pub fn locate(workspace: &Workspace) -> Result<Headers> {
    let clang = clang::locate().context("no libclang with its headers was found")?;
    match kit::chosen() {
        Some(root) => wdk(workspace, &root, clang),
        None => Ok(Headers {
            flavour: "mingw-w64",
            include: search_path(&[Path::new(MINGW_INCLUDE).join("ddk"), MINGW_INCLUDE.into()])?,
            overlay: None,
            clang,
        }),
    }
}

fn wdk(workspace: &Workspace, root: &Path, clang: Clang) -> Result<Headers> {
    let (version, directories) = kit::locate(root)?;
    Ok(Headers {
        flavour: "wdk",
        include: search_path(&directories)?,
        overlay: Some(case_overlay::write(workspace, &version, &directories)?),
        clang,
    })
}

fn search_path(directories: &[PathBuf]) -> Result<OsString> {
    env::join_paths(directories).with_context(|| {
        let listed: Vec<_> = directories.iter().map(|path| path.display().to_string()).collect();
        format!(
            "cannot make a search path of {}: put the headers where no directory has a colon in its name",
            listed.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_in_a_directory_is_an_error() {
        let error = search_path(&["/kits/c:/km".into()]).unwrap_err();
        assert!(error.to_string().contains("/kits/c:/km"));
    }
}
