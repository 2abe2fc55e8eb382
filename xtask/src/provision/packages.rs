//! What a distribution brings: compilers, headers and libraries that are no Rust crates.
//!
//! Each is looked for where it is used from, not in the package manager's database, so that a machine that has it from
//! elsewhere is left alone. What is missing is installed with apt when that needs no password.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use super::{clang, headers::MINGW_INCLUDE, import_libs::MINGW_LIB, kit};
use crate::{cross::RESOURCE_COMPILER, process};

/// Something that is used, and the Debian package that brings it.
pub struct Requirement {
    /// What it is, and for what.
    pub what: &'static str,
    /// The Debian package.
    pub package: &'static str,
    /// Whether it is there.
    pub present: fn() -> bool,
}

/// What builds use.
pub const FOR_BUILDS: [Requirement; 7] = [
    Requirement {
        what: "libclang with its headers, for bindgen",
        package: "libclang-dev",
        present: || clang::locate().is_some(),
    },
    Requirement {
        what: "CMake, for the CPU emulator of ntsim",
        package: "cmake",
        present: || on_path("cmake"),
    },
    Requirement {
        what: "make, for the CPU emulator of ntsim",
        package: "make",
        present: || on_path("make"),
    },
    Requirement {
        what: "the kernel's headers by mingw-w64 (or a WDK named by WDKContentRoot), for the bindings",
        package: "mingw-w64-common",
        present: || kit::chosen().is_some() || Path::new(MINGW_INCLUDE).join("ddk/ntifs.h").is_file(),
    },
    Requirement {
        what: "mingw-w64's import libraries, for the names that the kernel exports",
        package: "mingw-w64-x86-64-dev",
        present: || Path::new(MINGW_LIB).join("libntoskrnl.a").is_file(),
    },
    Requirement {
        what: "mingw-w64's compiler, to link eductl.exe",
        package: "gcc-mingw-w64-x86-64-win32",
        present: || on_path("x86_64-w64-mingw32-gcc"),
    },
    Requirement {
        what: "a resource compiler, for the version resources",
        package: "binutils-mingw-w64-x86-64",
        present: || on_path(RESOURCE_COMPILER),
    },
];

/// Installs what is missing.
///
/// # Errors
///
/// When something is missing and cannot be installed without a password, or the installation fails.
pub fn ensure(requirements: &[Requirement]) -> Result<()> {
    let missing: Vec<&Requirement> = requirements.iter().filter(|it| !(it.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for requirement in &missing {
        eprintln!("missing: {}", requirement.what);
    }
    let packages: Vec<&str> = missing.iter().map(|it| it.package).collect();
    let Some(mut install) = apt_get() else {
        bail!("install it with: sudo apt-get install {}", packages.join(" "));
    };
    eprintln!("installing {} with apt-get", packages.join(" "));
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&packages);
    // A package list that is absent or out of date shows only now.
    let result = process::read(&mut install).or_else(|_| {
        if let Some(mut update) = apt_get() {
            process::read(update.arg("update"))?;
        }
        process::read(&mut install)
    });
    if let Err(error) = result {
        bail!(
            "{error:#}\ninstall it by hand: sudo apt-get install {}",
            packages.join(" ")
        );
    }
    if let Some(still) = missing.iter().find(|it| !(it.present)()) {
        bail!(
            "{} is installed, but this is still missing: {}",
            still.package,
            still.what
        );
    }
    Ok(())
}

/// `apt-get` with the right to install, if it can be had without asking.
pub fn apt_get() -> Option<Command> {
    if !on_path("apt-get") {
        return None;
    }
    let is_root = process::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = if is_root {
        Command::new("apt-get")
    } else {
        let sudo = process::output(Command::new("sudo").args(["-n", "true"])).ok()?;
        if !sudo.status.success() {
            return None;
        }
        let mut command = Command::new("sudo");
        command.args(["-n", "apt-get"]);
        command
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Some(command)
}

/// Whether `program` is in a directory of `PATH`.
pub fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory: PathBuf| directory.join(program).is_file())
}
