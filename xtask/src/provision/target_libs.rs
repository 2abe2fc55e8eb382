//! The Windows targets' `core`, `alloc` and `std`.
//!
//! The toolchain has them, or rustup adds them. Where it cannot, they are built from the library's source, once, into a
//! sysroot of their own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use rustc_build_sysroot::{SysrootBuilder, SysrootConfig};

use super::{library_source, toolchain::Toolchain};
use crate::{
    cross::{APP_TARGET, DRIVER_TARGET},
    process,
    workspace::Workspace,
};

/// Set to anything, this makes set-up build the target libraries from source though rustup could bring them.
const FROM_SOURCE_VARIABLE: &str = "CUSTOMDPC_TARGET_LIBS_FROM_SOURCE";

/// What the libraries that rustup brings are compiled with: bitcode, without which the driver's link-time optimisation would
/// leave them out, and line tables.
const LIKE_RUSTUPS: [&str; 3] = [
    "-Cembed-bitcode=yes",
    "-Cdebuginfo=line-tables-only",
    "-Ccodegen-units=1",
];

/// Makes sure that both Windows targets have libraries. Returns the sysroot that has them, unless it is the toolchain's own.
///
/// # Errors
///
/// When neither rustup nor a copy of the library's source can be had, or the source does not compile.
pub fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<Option<PathBuf>> {
    let from_source = env::var_os(FROM_SOURCE_VARIABLE).is_some();
    if !from_source && (has_both_targets(&toolchain.sysroot) || rustup_adds_both(workspace)) {
        return Ok(None);
    }
    build(workspace, toolchain).map(Some)
}

fn has_both_targets(sysroot: &Path) -> bool {
    [DRIVER_TARGET, APP_TARGET]
        .iter()
        .all(|target| sysroot.join("lib/rustlib").join(target).join("lib").is_dir())
}

fn rustup_adds_both(workspace: &Workspace) -> bool {
    let mut rustup = Command::new("rustup");
    rustup
        .current_dir(workspace.root())
        .args(["target", "add", DRIVER_TARGET, APP_TARGET]);
    process::read(&mut rustup).is_ok()
}

/// Builds both targets' libraries, unless that was done before with the same compiler.
fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let version = &toolchain.version;
    let sysroot = workspace.provisioned().join("sysroot").join(version.semver.to_string());
    let stamp = sysroot.join("complete");
    if fs::read_to_string(&stamp).is_ok_and(|built_by| built_by == version.short_version_string) {
        return Ok(sysroot);
    }
    let source = library_source::ensure(workspace, toolchain)?;
    let targets = [
        (DRIVER_TARGET, SysrootConfig::NoStd),
        (APP_TARGET, SysrootConfig::WithStd { std_features: vec![] }),
    ];
    for (target, config) in targets {
        eprintln!("building the libraries of {target} from source");
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(workspace.root())
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("CARGO_BUILD_TARGET");
        SysrootBuilder::new(&sysroot, target)
            .sysroot_config(config)
            .rustflags(LIKE_RUSTUPS)
            .rustflag(remap(&source, toolchain))
            .cargo(cargo)
            .rustc_version(version.clone())
            .build_from_source(&source)
            .with_context(|| format!("cannot build the libraries of {target}"))?;
    }
    fs::write(&stamp, &version.short_version_string)?;
    Ok(sysroot)
}

/// The flag that makes the libraries name their source as those that rustup brings do.
fn remap(source: &Path, toolchain: &Toolchain) -> String {
    format!(
        "--remap-path-prefix={}={}/library",
        source.display(),
        toolchain.library_source_name()
    )
}
