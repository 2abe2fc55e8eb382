//! Cargo for the Windows targets.
//!
//! What makes a build a cross build is kept out of the tree's own configuration, so that a build on Windows sees nothing of
//! it: the stand-in for wdk-build, the linker, the import libraries and the target libraries come by `--config` and
//! environment.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{
    lockfiles,
    provision::{self, Provisioned},
    workspace::Workspace,
};

/// The drivers' target.
pub const DRIVER_TARGET: &str = "x86_64-pc-windows-msvc";

/// eductl.exe's target. It links with mingw-w64's linker; the MSVC target would need Microsoft's C runtime.
pub const APP_TARGET: &str = "x86_64-pc-windows-gnu";

/// What makes an object file of a resource script.
pub const RESOURCE_COMPILER: &str = "x86_64-w64-mingw32-windres";

/// The name of the workspace's root in debug information.
const SOURCE_NAME: &str = "/customdpc";

/// The name of the directory of other crates' sources in debug information.
const CRATES_NAME: &str = "/crates";

/// Environment variables with compiler flags. They would take the place of this module's own flags, not come on top of them.
const FLAG_VARIABLES: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS",
    "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO_ENCODED_RUSTDOCFLAGS",
    "CARGO_BUILD_RUSTDOCFLAGS",
];

/// A machine that is ready for cross builds.
pub struct Cross<'w> {
    workspace: &'w Workspace,
    provisioned: Provisioned,
}

impl<'w> Cross<'w> {
    /// Sets up what is missing.
    ///
    /// # Errors
    ///
    /// When something is missing that cannot be fetched; the message names it and the command that gets it.
    pub fn prepare(workspace: &'w Workspace) -> Result<Self> {
        let provisioned = provision::ensure(workspace)?;
        lockfiles::bring_into_agreement(workspace)?;
        Ok(Self { workspace, provisioned })
    }

    /// The directory of the import libraries.
    pub fn import_libraries(&self) -> &Path {
        &self.provisioned.import_libraries
    }

    /// `cargo <subcommand>` for the drivers' target, for more arguments to be added.
    pub fn cargo(&self, subcommand: impl AsRef<OsStr>) -> Command {
        let mut cargo = Command::new("cargo");
        let root = self.workspace.root();
        cargo.current_dir(root);
        for variable in FLAG_VARIABLES {
            cargo.env_remove(variable);
        }
        cargo.env("CARGO_TARGET_DIR", self.workspace.cross_target());
        cargo.env("CARGO_BUILD_TARGET", DRIVER_TARGET);
        // Cargo must take `-Z lockfile-path`: the patch below changes the lockfile, and the tree's own must stay that of a
        // build on Windows. The setting below forbids unstable features to rustc again.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo.env("WDK_CROSS_MANIFEST", root.join("Cargo.toml"));
        cargo.env("WDK_CROSS_LIB", &self.provisioned.import_libraries);
        // For both targets: rust-lld takes what GNU's resource compiler makes, and it is there with mingw-w64's linker.
        cargo.env(format!("RC_{DRIVER_TARGET}"), RESOURCE_COMPILER);
        cargo.envs(self.provisioned.headers.environment());
        // After the subcommand: cargo hands `clippy`, a program of its own, only what follows its name.
        cargo.arg(subcommand).args(["-Z", "lockfile-path"]);
        for setting in self.settings() {
            cargo.arg("--config").arg(setting);
        }
        cargo
    }

    /// `cargo <subcommand>` for eductl.exe's target, for more arguments to be added.
    pub fn cargo_for_app(&self, subcommand: impl AsRef<OsStr>) -> Command {
        let mut cargo = self.cargo(subcommand);
        cargo.args(["--target", APP_TARGET]);
        for profile in ["dev", "release"] {
            // Symbols would be most of it, and differ from machine to machine. `panic = "abort"` is for the driver:
            // libraries that were built from source have no aborting panic runtime.
            for setting in ["strip=\"symbols\"", "panic=\"unwind\""] {
                cargo.arg("--config").arg(format!("profile.{profile}.{setting}"));
            }
        }
        cargo
    }

    /// Checks that eductl.exe can be linked where the tree lies.
    ///
    /// # Errors
    ///
    /// When there is a space in the tree's path: GNU's dlltool hands the names of its temporary files, which lie beside what is
    /// built, to the assembler in one line, unquoted.
    pub fn check_app_links(&self) -> Result<()> {
        let target = self.workspace.cross_target();
        if target.to_string_lossy().contains(' ') {
            bail!(
                "eductl.exe cannot be linked in {}: mingw-w64's dlltool takes no path with a space; \
                 move the tree to one without",
                target.display()
            );
        }
        Ok(())
    }

    /// Flags for rustdoc: it must find the targets' libraries as rustc does.
    pub fn rustdocflags(&self) -> Vec<String> {
        self.provisioned
            .sysroot
            .iter()
            .map(|sysroot| format!("--sysroot={}", sysroot.display()))
            .collect()
    }

    /// The `--config` settings, as TOML.
    fn settings(&self) -> Vec<String> {
        let common = self.common_rustflags();
        let mut driver = vec!["-Clink-arg=/BREPRO".to_owned()];
        driver.extend_from_slice(&common);
        let mut app = vec!["-Clink-arg=-Wl,--no-insert-timestamp".to_owned()];
        app.extend(common);
        vec![
            format!(
                "resolver.lockfile-path={}",
                toml_string(&self.workspace.cross_lockfile())
            ),
            "env.RUSTC_BOOTSTRAP.value=\"-1\"".to_owned(),
            "env.RUSTC_BOOTSTRAP.force=true".to_owned(),
            format!(
                "patch.crates-io.wdk-build.path={}",
                toml_string(&self.workspace.wdk_build())
            ),
            format!("target.{DRIVER_TARGET}.linker=\"rust-lld\""),
            format!("target.{DRIVER_TARGET}.rustflags={driver:?}"),
            format!("build.rustdocflags={:?}", self.rustdocflags()),
            format!("target.{APP_TARGET}.linker=\"x86_64-w64-mingw32-gcc\""),
            format!("target.{APP_TARGET}.rustflags={app:?}"),
        ]
    }

    /// Flags for both targets: the same image from the same source and the same target libraries, wherever the tree lies.
    ///
    /// Those that rustup brings for the drivers' target have no `memcpy` and the like, those that are built from source have
    /// them as weak symbols. With either the driver imports what it needs of them from ntoskrnl.exe; ntsim models them.
    fn common_rustflags(&self) -> Vec<String> {
        let mut remapped = vec![(self.workspace.root().to_owned(), SOURCE_NAME.to_owned())];
        remapped.extend(crate_sources().map(|directory| (directory, CRATES_NAME.to_owned())));
        remapped.push(self.provisioned.library_source.clone());
        let mut flags: Vec<String> = remapped
            .iter()
            .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
            .collect();
        if let Some(sysroot) = &self.provisioned.sysroot {
            flags.push(format!("--sysroot={}", sysroot.display()));
        }
        flags
    }
}

/// A path as a TOML string. Rust's escapes are TOML's too, for all characters that paths have in practice.
pub fn toml_string(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

/// The directories with the sources of crates: one per registry, below cargo's home.
fn crate_sources() -> impl Iterator<Item = PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let registries = fs::read_dir(cargo_home.join("registry/src"))
        .into_iter()
        .flatten()
        .flatten();
    let mut directories: Vec<PathBuf> = registries.map(|entry| entry.path()).collect();
    directories.sort();
    directories.into_iter()
}
