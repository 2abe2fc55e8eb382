//! Which headers describe the kernel's API: a WDK's, or those of mingw-w64.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{
    case_overlay,
    clang::{self, Clang},
};
use crate::workspace::Workspace;

/// Where Debian's mingw-w64-common puts its headers.
pub const MINGW_INCLUDE: &str = "/usr/share/mingw-w64/include";

/// The headers that a build uses.
pub struct Headers {
    flavour: &'static str,
    include: Vec<PathBuf>,
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
            (
                "WDK_CROSS_INCLUDE",
                env::join_paths(&self.include).expect("include directories have no colon in their names"),
            ),
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

/// Whether the environment names a WDK.
pub fn wdk_is_chosen() -> bool {
    env::var_os("WDKContentRoot").is_some()
}

/// Finds the headers: those of the kit that `WDKContentRoot` names, else mingw-w64's.
///
/// # Errors
///
/// When `WDKContentRoot` is set and there is no kit with kernel headers, or no libclang is found to read headers with.
pub fn locate(workspace: &Workspace) -> Result<Headers> {
    let clang = clang::locate().context("no libclang with its headers was found")?;
    match env::var_os("WDKContentRoot") {
        Some(root) => wdk(workspace, Path::new(&root), clang),
        None => Ok(Headers {
            flavour: "mingw-w64",
            include: vec![Path::new(MINGW_INCLUDE).join("ddk"), MINGW_INCLUDE.into()],
            overlay: None,
            clang,
        }),
    }
}

fn wdk(workspace: &Workspace, root: &Path, clang: Clang) -> Result<Headers> {
    let include = root.join("Include");
    let version = newest_version(&include)
        .with_context(|| format!("WDKContentRoot is set to {}, which is no WDK", root.display()))?;
    let include: Vec<PathBuf> = ["km/crt", "km", "shared"].map(|part| version.join(part)).into();
    if let Some(missing) = include.iter().find(|directory| !directory.is_dir()) {
        bail!("the WDK that WDKContentRoot names has no {}", missing.display());
    }
    Ok(Headers {
        flavour: "wdk",
        overlay: Some(case_overlay::write(workspace, &version, &include)?),
        include,
        clang,
    })
}

/// The subdirectory of `include` with the highest version, such as `10.0.26100.0`.
fn newest_version(include: &Path) -> Result<PathBuf> {
    let mut newest: Option<(Vec<u32>, PathBuf)> = None;
    for entry in fs::read_dir(include).with_context(|| format!("cannot list {}", include.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Ok(version) = name.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>() else {
            continue;
        };
        if newest.as_ref().is_none_or(|(best, _)| version > *best) {
            newest = Some((version, path));
        }
    }
    match newest {
        Some((_, path)) => Ok(path),
        None => bail!("{} has no versions in it", include.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let include = tempfile::tempdir().unwrap();
        for version in ["10.0.9200.0", "10.0.26100.0", "10.0.22621.0", "wdf"] {
            fs::create_dir(include.path().join(version)).unwrap();
        }
        let newest = newest_version(include.path()).unwrap();
        assert_eq!(newest, include.path().join("10.0.26100.0"));
    }

    #[test]
    fn a_directory_without_versions_is_no_kit() {
        let include = tempfile::tempdir().unwrap();
        fs::create_dir(include.path().join("wdf")).unwrap();
        assert!(newest_version(include.path()).is_err());
    }
}
