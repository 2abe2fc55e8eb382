//! Where headers and import libraries come from.
//!
//! With `WDKContentRoot` set it is that kit; otherwise the DDK headers of mingw-w64, with a supplement for what they
//! lack. `cargo xtask` prepares both and names the directories in the environment; this module only reads it.

use std::{env, path::PathBuf};

use crate::error::ConfigError;

/// The environment variable with the kit's include directories, separated as in `PATH`.
const INCLUDE_VARIABLE: &str = "WDK_CROSS_INCLUDE";
/// The environment variable with the directory of the import libraries.
const LIB_VARIABLE: &str = "WDK_CROSS_LIB";
/// The environment variable that says whose headers they are: `wdk` or `mingw-w64`.
const FLAVOUR_VARIABLE: &str = "WDK_CROSS_HEADERS";
/// The environment variable with a clang VFS overlay that makes a kit's file names case-insensitive; may be unset.
const OVERLAY_VARIABLE: &str = "WDK_CROSS_VFS_OVERLAY";

/// The environment variable with the resource directory of the libclang in use: a libclang loaded as a library does not
/// find the headers of its own compiler.
const RESOURCES_VARIABLE: &str = "WDK_CROSS_CLANG_RESOURCES";

/// Whose headers a kit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Microsoft's, from a WDK.
    Wdk,
    /// Those of mingw-w64.
    MingwW64,
}

/// A set of headers and import libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kit {
    flavour: Flavour,
    include: Vec<PathBuf>,
    lib: PathBuf,
    clang_resources: String,
    overlay: Option<PathBuf>,
}

/// Reads which kit to use from the environment.
pub(crate) fn from_environment() -> Result<Kit, ConfigError> {
    let flavour = match variable(FLAVOUR_VARIABLE)?.as_str() {
        "wdk" => Flavour::Wdk,
        _ => Flavour::MingwW64,
    };
    let overlay = variable(OVERLAY_VARIABLE).ok().map(PathBuf::from);
    Ok(Kit {
        flavour,
        include: env::split_paths(&variable(INCLUDE_VARIABLE)?).collect(),
        lib: variable(LIB_VARIABLE)?.into(),
        clang_resources: variable(RESOURCES_VARIABLE)?,
        overlay,
    })
}

fn variable(name: &'static str) -> Result<String, ConfigError> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).map_err(|_| ConfigError::NotStartedByXtask { variable: name })
}

impl Kit {
    /// The include directories, in search order.
    pub(crate) fn include_directories(&self) -> Vec<PathBuf> {
        let mut directories = self.include.clone();
        if self.supplement().is_some() {
            directories.push([env!("CARGO_MANIFEST_DIR"), "supplement"].iter().collect());
        }
        directories
    }

    /// The directory of the import libraries.
    pub(crate) fn lib_directory(&self) -> &PathBuf {
        &self.lib
    }

    /// The header that declares what this kit's own headers lack.
    pub(crate) fn supplement(&self) -> Option<&'static str> {
        match self.flavour {
            Flavour::Wdk => None,
            Flavour::MingwW64 => Some("wdk_supplement.h"),
        }
    }

    /// Clang arguments that this kit needs beyond those for Microsoft's on Windows.
    pub(crate) fn clang_arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("-resource-dir={}", self.clang_resources)];
        match self.flavour {
            // Mingw-w64's headers depend on the macros that this target predefines, and that -fms-compatibility would undo.
            Flavour::MingwW64 => arguments.push("--target=x86_64-w64-windows-gnu".to_owned()),
            Flavour::Wdk => {
                arguments.extend(["--target=x86_64-pc-windows-msvc", "-fms-compatibility"].map(str::to_owned));
                if let Some(overlay) = &self.overlay {
                    arguments.extend(["-ivfsoverlay".to_owned(), overlay.display().to_string()]);
                }
            }
        }
        arguments
    }

    /// Items of this kit's headers that bindgen must leave out beyond those it leaves out on Windows.
    pub(crate) fn blocklist(&self) -> &'static [&'static str] {
        match self.flavour {
            Flavour::Wdk => &[],
            // AMX tile types of clang's intrinsics headers: Rust has no type for them.
            Flavour::MingwW64 => &["__tile1024i.*"],
        }
    }
}
