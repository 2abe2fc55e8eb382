//! The two lockfiles.
//!
//! `Cargo.lock` is that of a build on Windows, with Microsoft's wdk-build. `cross/Cargo.lock` is that of a cross build, with the
//! stand-in, whose dependencies are fewer. Everything else that is compiled must be the same in both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, bail};
use cargo_lock::{Lockfile, Package};

use crate::workspace::Workspace;

/// The package that cross builds replace.
const REPLACED: &str = "wdk-build";

/// Starts `cross/Cargo.lock` anew from `Cargo.lock` if they disagree. The next cross build puts the stand-in into it.
///
/// # Errors
///
/// When a lockfile cannot be read or written.
pub fn bring_into_agreement(workspace: &Workspace) -> Result<()> {
    let (tree, cross) = (workspace.lockfile(), workspace.cross_lockfile());
    if tree.exists() && (!cross.exists() || !disagreements(&tree, &cross)?.is_empty()) {
        fs::copy(&tree, &cross).with_context(|| format!("cannot write {}", cross.display()))?;
    }
    Ok(())
}

/// Checks that the lockfiles agree.
///
/// # Errors
///
/// When they do not; the message names the packages.
pub fn check(workspace: &Workspace) -> Result<()> {
    let disagreements = disagreements(&workspace.lockfile(), &workspace.cross_lockfile())?;
    if !disagreements.is_empty() {
        bail!(
            "Cargo.lock and cross/Cargo.lock disagree on {}; `cargo xtask build` makes them agree",
            disagreements.join(", ")
        );
    }
    Ok(())
}

fn disagreements(tree: &Path, cross: &Path) -> Result<Vec<String>> {
    let load = |path: &Path| Lockfile::load(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(differing(&load(tree)?.packages, &load(cross)?.packages))
}

/// What a lockfile says about one package, but for the replaced one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
    dependencies: BTreeSet<(String, String)>,
}

fn differing(tree: &[Package], cross: &[Package]) -> Vec<String> {
    let (tree, cross) = (reachable(tree), reachable(cross));
    tree.symmetric_difference(&cross)
        .map(|locked| format!("{} {}", locked.name, locked.version))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// The packages that the workspace's members reach without going through the replaced one.
fn reachable(packages: &[Package]) -> BTreeSet<Locked> {
    let by_id: BTreeMap<(String, String), &Package> = packages
        .iter()
        .map(|package| ((package.name.to_string(), package.version.to_string()), package))
        .collect();
    let mut locked = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut pending: Vec<(String, String)> = packages
        .iter()
        .filter(|package| package.source.is_none() && package.name.as_str() != REPLACED)
        .map(|package| (package.name.to_string(), package.version.to_string()))
        .collect();
    while let Some(id) = pending.pop() {
        let Some(package) = by_id.get(&id) else { continue };
        if id.0 == REPLACED || !seen.insert(id.clone()) {
            continue;
        }
        let dependencies: BTreeSet<_> = package
            .dependencies
            .iter()
            .map(|dependency| (dependency.name.to_string(), dependency.version.to_string()))
            .collect();
        pending.extend(dependencies.iter().cloned());
        locked.insert(Locked {
            name: id.0,
            version: id.1,
            checksum: package.checksum.as_ref().map(ToString::to_string),
            dependencies,
        });
    }
    locked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lockfile with a member `driver` that depends on `wdk-build` and on `lib` of the given version, whose wdk-build
    /// depends on `only` and comes from `source`.
    fn lockfile(lib: &str, only: &str, source: Option<&str>) -> Vec<Package> {
        const REGISTRY: &str = "source = \"registry+https://example.invalid/index\"";
        let source = source.map_or(String::new(), |_| REGISTRY.to_owned());
        let text = format!(
            r#"
version = 4

[[package]]
name = "driver"
version = "0.1.0"
dependencies = ["lib", "wdk-build"]

[[package]]
name = "lib"
version = "{lib}"
{REGISTRY}

[[package]]
name = "{only}"
version = "1.0.0"
{REGISTRY}

[[package]]
name = "wdk-build"
version = "0.6.0"
{source}
dependencies = ["{only}"]
"#
        );
        text.parse::<Lockfile>().unwrap().packages
    }

    #[test]
    fn the_replaced_package_and_what_only_it_needs_may_differ() {
        let tree = lockfile("1.2.3", "windows", Some("registry"));
        let cross = lockfile("1.2.3", "toml", None);
        assert!(differing(&tree, &cross).is_empty());
    }

    #[test]
    fn other_versions_are_found() {
        let tree = lockfile("1.2.3", "windows", Some("registry"));
        let cross = lockfile("1.2.4", "toml", None);
        assert_eq!(differing(&tree, &cross), ["driver 0.1.0", "lib 1.2.3", "lib 1.2.4"]);
    }
}
