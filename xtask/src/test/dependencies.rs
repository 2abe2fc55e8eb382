//! What may depend on what, and under which licences.
//!
//! unicorn-engine is GPL-2.0: what ships must not reach it, and nothing linked with it may be under the Apache licence alone,
//! which the GPL's second version does not go with.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};
use spdx::{Expression, LicenseReq, ParseMode};

use super::packages;
use crate::workspace::Workspace;

/// The emulator.
const GPL: &str = "unicorn-engine";

/// What ships, or is compiled into what ships; and the programs that make it.
const APART_FROM_GPL: [&str; 11] = [
    "customdpc",
    "driver-package",
    "edu",
    "eductl",
    "ntlayout",
    "pe-checksum",
    "rundown",
    "script-check",
    "version-resource",
    "wdm",
    "xtask",
];

/// For a package, those that it must not reach. ARCHITECTURE.md has the table with the reasons.
const KEPT_APART: [(&str, &[&str]); 9] = [
    ("driver-bench", &["customdpc", "wdm", "wdk-sys"]),
    ("driver-package", &["customdpc", "eductl", "wdm", "wdk-sys"]),
    ("edu", &["wdm", "wdk-sys", "ntsim"]),
    ("eductl", &["wdm", "wdk-sys"]),
    ("ntsim", &["customdpc", "wdm", "wdk-sys"]),
    ("rundown", &["wdm", "wdk-sys"]),
    ("scenarios", &["customdpc", "wdm", "wdk-sys"]),
    ("wdm", &["edu", "ntsim"]),
    (
        "xtask",
        &["customdpc", "driver-bench", "driver-package", "eductl", "ntsim", "wdm"],
    ),
];

/// Checks the workspace's dependencies.
///
/// # Errors
///
/// When `cargo metadata` fails or a rule is broken.
pub fn check(workspace: &Workspace) -> Result<String> {
    let graph = Graph::new(packages::metadata(workspace)?)?;
    let broken = graph.broken_rules()?;
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(format!("{} packages", graph.packages.len()))
}

/// Which packages a package depends on.
type Edges = BTreeMap<PackageId, BTreeSet<PackageId>>;

struct Graph {
    packages: BTreeMap<PackageId, Package>,
    /// All dependencies of a package, for builds and tests too.
    all: Edges,
    /// What is linked into what the package is linked into.
    linked: Edges,
}

impl Graph {
    fn new(metadata: Metadata) -> Result<Self> {
        let mut graph = Self {
            packages: BTreeMap::new(),
            all: BTreeMap::new(),
            linked: BTreeMap::new(),
        };
        let resolve = metadata.resolve.context("cargo metadata resolved nothing")?;
        graph.packages.extend(
            metadata
                .packages
                .into_iter()
                .map(|package| (package.id.clone(), package)),
        );
        for node in resolve.nodes {
            for dependency in node.deps {
                let kinds: Vec<DependencyKind> = dependency.dep_kinds.iter().map(|it| it.kind).collect();
                graph.add(&node.id, &dependency.pkg, &kinds);
            }
        }
        Ok(graph)
    }

    fn add(&mut self, package: &PackageId, dependency: &PackageId, kinds: &[DependencyKind]) {
        self.all.entry(package.clone()).or_default().insert(dependency.clone());
        let is_macro = self
            .packages
            .get(dependency)
            .is_some_and(|it| it.targets.iter().any(cargo_metadata::Target::is_proc_macro));
        if !is_macro && kinds.contains(&DependencyKind::Normal) {
            self.linked
                .entry(package.clone())
                .or_default()
                .insert(dependency.clone());
        }
    }

    fn broken_rules(&self) -> Result<Vec<String>> {
        let mut broken = Vec::new();
        for name in APART_FROM_GPL {
            if let Some(package) = self.member(name)
                && reach(package, &self.all).iter().any(|id| self.name(id) == GPL)
            {
                broken.push(format!("{name} reaches {GPL}, which is GPL-2.0"));
            }
        }
        for (name, others) in KEPT_APART {
            let Some(package) = self.member(name) else {
                continue;
            };
            let reached = reach(package, &self.all);
            for other in others {
                if reached.iter().any(|id| self.name(id) == *other) {
                    broken.push(format!("{name} depends on {other}"));
                }
            }
        }
        for id in self.linked_with_gpl() {
            let package = &self.packages[&id];
            if !goes_with_gpl2(package)? {
                broken.push(format!(
                    "{} {} is linked with {GPL} and is under {}",
                    package.name,
                    package.version,
                    package.license.as_deref().unwrap_or("no licence")
                ));
            }
        }
        Ok(broken)
    }

    /// Everything that ends up in one program with the emulator.
    fn linked_with_gpl(&self) -> BTreeSet<PackageId> {
        let members = self.packages.values().filter(|package| package.source.is_none());
        let mut linked = BTreeSet::new();
        for member in members {
            // A member's tests are programs too, and link what only tests need.
            let mut with_tests = self.linked.clone();
            with_tests.insert(member.id.clone(), self.all.get(&member.id).cloned().unwrap_or_default());
            let reached = reach(&member.id, &with_tests);
            if reached.iter().any(|id| self.name(id) == GPL) {
                linked.extend(reached);
            }
        }
        linked
    }

    fn member(&self, name: &str) -> Option<&PackageId> {
        self.packages
            .values()
            .find(|package| package.source.is_none() && *package.name == name)
            .map(|package| &package.id)
    }

    fn name(&self, id: &PackageId) -> &str {
        &self.packages[id].name
    }
}

/// `from` and all it reaches over `edges`.
fn reach(from: &PackageId, edges: &Edges) -> BTreeSet<PackageId> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from.clone()];
    while let Some(id) = pending.pop() {
        if reached.insert(id.clone()) {
            pending.extend(edges.get(&id).into_iter().flatten().cloned());
        }
    }
    reached
}

/// Whether one may distribute the package as part of a work under the GPL's second version: whether its licence can be met
/// without the Apache licence.
fn goes_with_gpl2(package: &Package) -> Result<bool> {
    let Some(license) = &package.license else {
        return Ok(false);
    };
    let expression = Expression::parse_mode(license, ParseMode::LAX)
        .with_context(|| format!("the licence of {} cannot be understood", package.name))?;
    Ok(expression.evaluate(is_not_bare_apache))
}

/// LLVM's exception to the Apache licence lifts what the GPL objects to.
fn is_not_bare_apache(requirement: &LicenseReq) -> bool {
    let is_apache = requirement
        .license
        .id()
        .is_some_and(|id| id.name.starts_with("Apache-"));
    !is_apache || requirement.addition.is_some()
}

#[cfg(test)]
mod tests {
    use cargo_metadata::MetadataCommand;

    use super::*;

    /// A workspace in which `package` depends on `dependency`, which has the given licence, and ntsim on the emulator.
    fn graph(package: &str, dependency: &str, license: &str) -> Graph {
        const MEMBERS: [&str; 3] = ["customdpc", "ntsim", "xtask"];
        let licenses = BTreeMap::from([
            (package, "MIT"),
            (dependency, license),
            ("ntsim", "GPL-2.0-only"),
            (GPL, "GPL-2.0-only"),
        ]);
        let packages: Vec<String> = licenses
            .into_iter()
            .map(|(name, license)| {
                let source = if MEMBERS.contains(&name) { "null" } else { "\"registry\"" };
                format!(
                    r#"{{"name":"{name}","version":"1.0.0","id":"{name}","license":"{license}","source":{source},
                    "dependencies":[],"targets":[],"features":{{}},"manifest_path":"/{name}/Cargo.toml","edition":"2024"}}"#
                )
            })
            .collect();
        let mut edges = BTreeMap::from([("ntsim", vec![GPL])]);
        edges.entry(package).or_default().push(dependency);
        let nodes: Vec<String> = edges.iter().map(|(from, to)| node(from, to)).collect();
        let json = format!(
            r#"{{"packages":[{}],"workspace_members":[],"resolve":{{"nodes":[{}],"root":null}},"target_directory":"/t",
            "version":1,"workspace_root":"/"}}"#,
            packages.join(","),
            nodes.join(",")
        );
        Graph::new(MetadataCommand::parse(json).unwrap()).unwrap()
    }

    fn node(from: &str, to: &[&str]) -> String {
        let dependencies: Vec<String> = to
            .iter()
            .map(|to| format!(r#"{{"name":"{to}","pkg":"{to}","dep_kinds":[{{"kind":null,"target":null}}]}}"#))
            .collect();
        let dependencies = dependencies.join(",");
        format!(r#"{{"id":"{from}","dependencies":[],"features":[],"deps":[{dependencies}]}}"#)
    }

    #[test]
    fn the_driver_may_depend_on_free_crates() {
        let graph = graph("customdpc", "bitflags", "MIT OR Apache-2.0");
        assert_eq!(graph.broken_rules().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_driver_that_reaches_the_emulator_is_found() {
        let graph = graph("customdpc", "ntsim", "GPL-2.0-only");
        assert_eq!(
            graph.broken_rules().unwrap(),
            ["customdpc reaches unicorn-engine, which is GPL-2.0"]
        );
    }

    #[test]
    fn an_xtask_that_depends_on_ntsim_is_found() {
        let broken = graph("xtask", "ntsim", "GPL-2.0-only").broken_rules().unwrap();
        assert!(broken.contains(&"xtask depends on ntsim".to_owned()));
    }

    #[test]
    fn a_model_that_shares_code_with_the_driver_is_found() {
        let broken = graph("ntsim", "wdm", "MIT").broken_rules().unwrap();
        assert_eq!(broken, ["ntsim depends on wdm"]);
    }

    #[test]
    fn an_apache_only_crate_beside_the_emulator_is_found() {
        let broken = graph("ntsim", "openssl", "Apache-2.0").broken_rules().unwrap();
        assert_eq!(
            broken,
            ["openssl 1.0.0 is linked with unicorn-engine and is under Apache-2.0"]
        );
    }

    #[test]
    fn a_choice_of_licences_and_llvms_exception_are_fine() {
        for license in ["MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Apache-2.0 OR Zlib"] {
            let broken = graph("ntsim", "free", license).broken_rules().unwrap();
            assert_eq!(broken, Vec::<String>::new(), "{license}");
        }
    }
}
