//! Which headers describe the kernel's API: a WDK's, or those of mingw-w64.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    case_overlay,
    clang::{self, Clang},
};
use crate::workspace::Workspace;

/// Where Debian's mingw-w64-common puts its headers.
pub const MINGW_INCLUDE: &str = "/usr/share/mingw-w64/include";

/// The directories of a kit's version that have the headers of the kernel's API, in search order.
const KERNEL_INCLUDE: [&str; 3] = ["km/crt", "km", "shared"];

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

/// The WDK that the environment names.
pub fn chosen_wdk() -> Option<PathBuf> {
    env::var_os("WDKContentRoot")
        .filter(|root| !root.is_empty())
        .map(PathBuf::from)
}

/// Finds the headers: those of the kit that `WDKContentRoot` names, else mingw-w64's.
///
/// # Errors
///
/// When `WDKContentRoot` is set and there is no kit with kernel headers, or no libclang is found to read headers with.
pub fn locate(workspace: &Workspace) -> Result<Headers> {
    let clang = clang::locate().context("no libclang with its headers was found")?;
    match chosen_wdk() {
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
    let version = newest_version(&root.join("Include")).with_context(|| {
        format!(
            "WDKContentRoot is set to {}, which has no kernel headers: set it to the directory of a WDK (`Windows Kits/10`), \
             or to nothing for those of mingw-w64",
            root.display()
        )
    })?;
    let directories = KERNEL_INCLUDE.map(|part| version.join(part));
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

/// The subdirectory of `include` with the highest version, such as `10.0.26100.0`, of those that have the kernel's headers: a
/// Windows SDK of another version, which has none, may lie there as well.
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
        let complete = KERNEL_INCLUDE.iter().all(|part| path.join(part).is_dir());
        if complete && newest.as_ref().is_none_or(|(best, _)| version > *best) {
            newest = Some((version, path));
        }
    }
    newest.map(|(_, path)| path).with_context(|| {
        format!(
            "no version in {} has all of {}",
            include.display(),
            KERNEL_INCLUDE.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_version(include: &Path, version: &str, parts: &[&str]) {
        for part in parts {
            fs::create_dir_all(include.join(version).join(part)).unwrap();
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        let include = tempfile::tempdir().unwrap();
        for version in ["10.0.9200.0", "10.0.26100.0", "10.0.22621.0", "wdf"] {
            add_version(include.path(), version, &KERNEL_INCLUDE);
        }
        let newest = newest_version(include.path()).unwrap();
        assert_eq!(newest, include.path().join("10.0.26100.0"));
    }

    #[test]
    fn a_newer_sdk_beside_the_wdk_is_passed_over() {
        let include = tempfile::tempdir().unwrap();
        add_version(include.path(), "10.0.22621.0", &KERNEL_INCLUDE);
        add_version(include.path(), "10.0.26100.0", &["shared", "um", "ucrt"]);
        add_version(include.path(), "10.0.28000.0", &["shared", "km"]);
        let newest = newest_version(include.path()).unwrap();
        assert_eq!(newest, include.path().join("10.0.22621.0"));
    }

    #[test]
    fn a_directory_without_versions_is_no_kit() {
        let include = tempfile::tempdir().unwrap();
        fs::create_dir(include.path().join("wdf")).unwrap();
        assert!(newest_version(include.path()).is_err());
    }

    #[test]
    fn a_colon_in_a_directory_is_an_error() {
        let error = search_path(&["/kits/c:/km".into()]).unwrap_err();
        assert!(error.to_string().contains("/kits/c:/km"));
    }
}
