//! A Windows Driver Kit: where it is, and which of its versions is used.
//!
//! The variables are those of Microsoft's wdk-build: `WDKContentRoot` names the kit, `Version_Number` a version in it. Without the
//! second the newest version is used that is complete: a Windows SDK of another version, which has no kernel headers, may lie there too.

use std::{
    env, fs,
    path::{self, Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The variable with the kit's directory.
const ROOT_VARIABLE: &str = "WDKContentRoot";

/// The variable with the version to use, such as `10.0.26100.0`.
const VERSION_VARIABLE: &str = "Version_Number";

/// The directories of a version that have the headers of the kernel's API, in search order.
const KERNEL_INCLUDE: [&str; 3] = ["km/crt", "km", "shared"];

/// A header that the WDK brings.
const WDK_HEADER: &str = "km/ntifs.h";

/// A header that the Windows SDK brings, and that the WDK's own include.
const SDK_HEADER: &str = "shared/specstrings.h";

/// The kit that the environment names. A relative path counts from the directory that `cargo xtask` is called in.
pub fn chosen() -> Option<PathBuf> {
    let root = env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty())?;
    Some(absolute(root.into()))
}

/// The same directory for build scripts, which run in other directories.
fn absolute(root: PathBuf) -> PathBuf {
    path::absolute(&root).unwrap_or(root)
}

/// Version directory and header directories of the kit at `root`.
///
/// # Errors
///
/// When there is no complete kit; the message says what is missing, and from where it is.
pub fn locate(root: &Path) -> Result<(PathBuf, [PathBuf; 3])> {
    let wanted = env::var(VERSION_VARIABLE).ok().filter(|version| !version.is_empty());
    let version = version(&root.join("Include"), wanted.as_deref()).with_context(|| {
        format!(
            "{ROOT_VARIABLE} is set to {}, which has no kernel headers that can be used: set it to the directory of a WDK \
             (`Windows Kits/10`), or to nothing for those of mingw-w64",
            root.display()
        )
    })?;
    let directories = KERNEL_INCLUDE.map(|part| version.join(part));
    Ok((version, directories))
}

/// What is missing of a version, in words; `None` when it is complete.
fn lack(version: &Path) -> Option<String> {
    let name = version.file_name().unwrap_or_default().to_string_lossy();
    match (has(version, WDK_HEADER), has(version, SDK_HEADER)) {
        (true, true) if version.join("km/crt").is_dir() => None,
        (true, true) => Some(format!("{name} has {WDK_HEADER} and lacks the directory km/crt")),
        (true, false) => Some(format!(
            "{name} is a WDK without its SDK: it lacks {SDK_HEADER}, which the Windows SDK of that version brings"
        )),
        (false, true) => Some(format!(
            "{name} is a Windows SDK alone: it lacks {WDK_HEADER}, which the WDK of that version brings"
        )),
        (false, false) => Some(format!("{name} has neither {WDK_HEADER} nor {SDK_HEADER}")),
    }
}

/// Whether a version has the header, in whatever case its name is written.
fn has(version: &Path, header: &str) -> bool {
    let (directory, name) = header.split_once('/').expect("a header is in a directory");
    let entries = fs::read_dir(version.join(directory)).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .any(|entry| entry.eq_ignore_ascii_case(name))
}

/// The directory of the version to use below `include`.
fn version(include: &Path, wanted: Option<&str>) -> Result<PathBuf> {
    let mut versions = versions(include)?;
    if let Some(wanted) = wanted {
        let is_wanted = |(_, path): &(Vec<u32>, PathBuf)| path.file_name().is_some_and(|name| name == wanted);
        let Some((_, path)) = versions.iter().find(|version| is_wanted(version)) else {
            let present: Vec<_> = versions
                .iter()
                .filter_map(|(_, path)| path.file_name()?.to_str())
                .collect();
            bail!(
                "{VERSION_VARIABLE} is {wanted}, and {} has: {}",
                include.display(),
                present.join(", ")
            );
        };
        return match lack(path) {
            None => Ok(path.clone()),
            Some(lack) => bail!("{VERSION_VARIABLE} is {wanted}; in {}, {lack}", include.display()),
        };
    }
    versions.reverse();
    let complete = versions.iter().find(|(_, path)| lack(path).is_none());
    complete.map(|(_, path)| path.clone()).with_context(|| {
        let lacks: Vec<String> = versions.iter().filter_map(|(_, path)| lack(path)).collect();
        match lacks.as_slice() {
            [] => format!("{} has no directory that is named as a version", include.display()),
            lacks => format!("in {}, {}", include.display(), lacks.join("; ")),
        }
    })
}

/// The subdirectories of `include` that are named as versions, in ascending order.
fn versions(include: &Path) -> Result<Vec<(Vec<u32>, PathBuf)>> {
    let mut versions = Vec::new();
    for entry in fs::read_dir(include).with_context(|| format!("cannot list {}", include.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if let Ok(version) = name.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>() {
            versions.push((version, path));
        }
    }
    versions.sort();
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const COMPLETE: [&str; 3] = ["km/crt/stdarg.h", WDK_HEADER, SDK_HEADER];
    const SDK_ALONE: [&str; 3] = [SDK_HEADER, "um/windows.h", "ucrt/stdio.h"];

    /// A directory of versions, each with these empty files.
    fn include(versions: &[(&str, &[&str])]) -> TempDir {
        let include = tempfile::tempdir().unwrap();
        for (version, files) in versions {
            for file in *files {
                let path = include.path().join(version).join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
        }
        include
    }

    fn chosen_of(versions: &[(&str, &[&str])], wanted: Option<&str>) -> Result<String, String> {
        let include = include(versions);
        let found = version(include.path(), wanted).map_err(|error| format!("{error:#}"))?;
        assert_eq!(found.parent(), Some(include.path()));
        Ok(found.file_name().unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn the_newest_version_by_number_is_used() {
        let versions: [(&str, &[&str]); 4] = [
            ("10.0.9200.0", &COMPLETE),
            ("10.0.26100.0", &COMPLETE),
            ("10.0.22621.0", &COMPLETE),
            ("wdf", &["kmdf/1.33/wdf.h"]),
        ];
        assert_eq!(chosen_of(&versions, None).unwrap(), "10.0.26100.0");
    }

    #[test]
    fn version_number_chooses() {
        let versions: [(&str, &[&str]); 2] = [("10.0.19041.0", &COMPLETE), ("10.0.26100.0", &COMPLETE)];
        assert_eq!(chosen_of(&versions, Some("10.0.19041.0")).unwrap(), "10.0.19041.0");
        let error = chosen_of(&versions, Some("10.0.22000.0")).unwrap_err();
        assert!(error.contains("Version_Number is 10.0.22000.0"), "{error}");
        assert!(error.ends_with("has: 10.0.19041.0, 10.0.26100.0"), "{error}");
    }

    #[test]
    fn a_newer_sdk_beside_the_wdk_is_passed_over_unless_it_is_wanted() {
        let versions: [(&str, &[&str]); 2] = [("10.0.22621.0", &COMPLETE), ("10.0.26100.0", &SDK_ALONE)];
        assert_eq!(chosen_of(&versions, None).unwrap(), "10.0.22621.0");
        let error = chosen_of(&versions, Some("10.0.26100.0")).unwrap_err();
        assert!(error.contains("10.0.26100.0 is a Windows SDK alone"), "{error}");
    }

    #[test]
    fn a_wdk_without_its_sdk_is_named() {
        let error = chosen_of(
            &[("10.0.22621.0", &["km/crt/stdarg.h", WDK_HEADER, "shared/ntdef.h"])],
            None,
        )
        .unwrap_err();
        assert!(error.contains("10.0.22621.0 is a WDK without its SDK"), "{error}");
        assert!(error.contains("lacks shared/specstrings.h"), "{error}");
    }

    #[test]
    fn a_relative_path_to_the_kit_works() {
        let here = env::current_dir().unwrap();
        assert_eq!(absolute("kits/10".into()), here.join("kits/10"));
        assert_eq!(absolute("./kits/10".into()), here.join("kits/10"));
        assert_eq!(absolute("/kits/10".into()), Path::new("/kits/10"));
    }

    #[test]
    fn headers_are_found_in_whatever_case() {
        let versions: [(&str, &[&str]); 1] = [("10.0.22621.0", &["km/crt/a.h", "km/NtIfs.h", "shared/SpecStrings.h"])];
        assert_eq!(chosen_of(&versions, None).unwrap(), "10.0.22621.0");
    }

    #[test]
    fn a_directory_without_versions_is_no_kit() {
        let error = chosen_of(&[("wdf", &["kmdf/1.33/wdf.h"])], None).unwrap_err();
        assert!(error.contains("no directory that is named as a version"), "{error}");
    }
}
