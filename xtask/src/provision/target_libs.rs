//! The Windows targets' `core`, `alloc` and `std`.
//!
//! The toolchain has them, or rustup adds them. Where it cannot, they are built from the library's source, once, into a
//! sysroot of their own.

use std::{
    env, fs, io,
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
    if !from_source && has_both_targets(&toolchain.sysroot) {
        return Ok(None);
    }
    let built = Built::new(workspace, toolchain);
    // Asking rustup takes its time where there is no network: not when there is something to work with.
    if built.is_complete() {
        return Ok(Some(built.sysroot));
    }
    if !from_source && rustup_adds_both(workspace) {
        return Ok(None);
    }
    built.build(workspace)?;
    Ok(Some(built.sysroot))
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

/// A sysroot of ours.
struct Built<'t> {
    toolchain: &'t Toolchain,
    sysroot: PathBuf,
    /// Says by which compiler and with which flags everything in it was built; absent as long as something is not.
    stamp: PathBuf,
}

impl<'t> Built<'t> {
    fn new(workspace: &Workspace, toolchain: &'t Toolchain) -> Self {
        let sysroots = workspace.provisioned().join("sysroot");
        let sysroot = sysroots.join(toolchain.version.semver.to_string());
        Self {
            toolchain,
            stamp: sysroot.join("complete"),
            sysroot,
        }
    }

    fn is_complete(&self) -> bool {
        fs::read_to_string(&self.stamp).is_ok_and(|built_by| built_by == self.built_by())
    }

    fn built_by(&self) -> String {
        format!(
            "{} {}",
            self.toolchain.version.short_version_string,
            LIKE_RUSTUPS.join(" ")
        )
    }

    fn build(&self, workspace: &Workspace) -> Result<()> {
        let source = library_source::ensure(workspace, self.toolchain)?;
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
            SysrootBuilder::new(&self.sysroot, target)
                .sysroot_config(config)
                .rustflags(LIKE_RUSTUPS)
                .rustflag(remap(&source, self.toolchain))
                .cargo(cargo)
                .rustc_version(self.toolchain.version.clone())
                .build_from_source(&source)
                .with_context(|| format!("cannot build the libraries of {target}"))?;
        }
        forget_builds(workspace)?;
        fs::write(&self.stamp, self.built_by()).with_context(|| format!("cannot write {}", self.stamp.display()))
    }
}

/// Removes what was built with the libraries that were in the sysroot before: cargo does not see that they are others now.
fn forget_builds(workspace: &Workspace) -> Result<()> {
    let builds = workspace.cross_target();
    match fs::remove_dir_all(&builds) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", builds.display()))
        }
        _ => Ok(()),
    }
}

/// The flag that makes the libraries name their source as those that rustup brings do.
fn remap(source: &Path, toolchain: &Toolchain) -> String {
    format!(
        "--remap-path-prefix={}={}/library",
        source.display(),
        toolchain.library_source_name()
    )
}
