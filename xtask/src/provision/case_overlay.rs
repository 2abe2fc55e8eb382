//! A kit's headers on a file system that tells upper from lower case.
//!
//! The kit's files are included by names in whatever case (`#include "DriverSpecs.h"` for driverspecs.h). Clang can be given
//! a view of the directories in which that does not matter: a virtual file system overlay.

use std::{
    fs::{self, DirEntry},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::workspace::Workspace;

/// Writes the overlay for the kit's `directories`, unless that was done before, and returns its path.
///
/// # Errors
///
/// When a directory cannot be listed or the overlay not be written.
pub fn write(workspace: &Workspace, version: &Path, directories: &[PathBuf]) -> Result<PathBuf> {
    let path = workspace.provisioned().join("wdk-overlay.json");
    let overlay = overlay(version, directories)?.to_string();
    if !fs::read_to_string(&path).is_ok_and(|before| before == overlay) {
        fs::create_dir_all(workspace.provisioned())?;
        fs::write(&path, overlay).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path)
}

/// The overlay, as the YAML that clang reads, of which JSON is a part.
fn overlay(version: &Path, directories: &[PathBuf]) -> Result<Value> {
    let mut roots = Vec::new();
    for directory in directories {
        // `km/crt` lies in `km`, which brings it along.
        if !directories
            .iter()
            .any(|other| directory != other && directory.starts_with(other))
        {
            let contents = contents(directory).with_context(|| format!("cannot list {}", version.display()))?;
            roots.push(json!({ "type": "directory", "name": directory, "contents": contents }));
        }
    }
    Ok(json!({ "version": 0, "case-sensitive": "false", "roots": roots }))
}

/// The entries of a directory, with names relative to it.
fn contents(directory: &Path) -> Result<Vec<Value>> {
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(DirEntry::file_name);
    let mut views = Vec::new();
    for entry in entries {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        views.push(if path.is_dir() {
            json!({ "type": "directory", "name": name, "contents": contents(&path)? })
        } else {
            json!({ "type": "file", "name": name, "external-contents": path })
        });
    }
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_is_in_the_view_once_and_in_its_directory() {
        let kit = tempfile::tempdir().unwrap();
        let km = kit.path().join("km");
        let crt = km.join("crt");
        fs::create_dir_all(&crt).unwrap();
        fs::write(km.join("NtDdk.h"), "").unwrap();
        fs::write(crt.join("stdarg.h"), "").unwrap();
        let overlay = overlay(kit.path(), &[crt.clone(), km.clone()]).unwrap();
        assert_eq!(overlay["case-sensitive"], "false");
        assert_eq!(
            overlay["roots"],
            json!([{ "type": "directory", "name": km, "contents": [
                { "type": "file", "name": "NtDdk.h", "external-contents": km.join("NtDdk.h") },
                { "type": "directory", "name": "crt", "contents": [
                    { "type": "file", "name": "stdarg.h", "external-contents": crt.join("stdarg.h") },
                ] },
            ] }])
        );
    }
}
