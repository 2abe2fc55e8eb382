//! For build scripts: compiles the resource and has it linked.

use std::{
    env,
    fmt::{self, Debug, Formatter},
    fs, io,
    num::ParseIntError,
    path::PathBuf,
};

use embed_resource::CompilationResult;
use thiserror::Error;

use crate::{
    Version,
    script::{Description, Kind, script},
};

/// Why a build script could not put the resource in.
#[derive(Error)]
pub enum EmbedError {
    /// It is not run by cargo.
    #[error("the variable {0} is not set: only a build script can call this")]
    NotABuildScript(&'static str),

    /// A number of the package's version does not fit a file version.
    #[error("{0}, a number of the package's version, does not fit 16 bits: {1}")]
    Version(String, #[source] ParseIntError),

    /// The script could not be written.
    #[error("cannot write {}: {}", .0.display(), .1)]
    Write(PathBuf, #[source] io::Error),

    /// The resource compiler is missing, or refuses the script.
    #[error("{0}")]
    Compile(CompilationResult),
}

/// A build script returns the error from `main`, which prints it by `Debug`: a sentence is of more use there than the fields.
impl Debug for EmbedError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// Gives what is linked of the package that is being built a version resource with that package's version. Where the target is
/// not Windows, it does nothing.
///
/// The resource compiler is that of the target's toolchain, unless the variable `RC_<target>` names another: Microsoft's `rc.exe`
/// on Windows, GNU's `windres` for a target with GNU's linker.
///
/// # Errors
/// When the resource cannot be made.
pub fn embed(description: &Description<'_>) -> Result<(), EmbedError> {
    let path = PathBuf::from(variable("OUT_DIR")?).join("version.rc");
    let text = script(description, package_version()?, &variable("CARGO_PKG_LICENSE")?);
    fs::write(&path, text).map_err(|error| EmbedError::Write(path.clone(), error))?;
    println!("cargo::rerun-if-changed=build.rs");
    let no_macros = embed_resource::NONE;
    let result = match description.kind {
        Kind::Driver => embed_resource::compile_for_cdylib(&path, no_macros),
        Kind::Program => {
            let program = description.file.trim_end_matches(".exe");
            embed_resource::compile_for(&path, [program], no_macros)
        }
    };
    result.manifest_required().map_err(EmbedError::Compile)
}

/// A crate's version as a file version: its patch number is the build, the revision is 0.
fn package_version() -> Result<Version, EmbedError> {
    let mut version = Version::default();
    let names = [
        "CARGO_PKG_VERSION_MAJOR",
        "CARGO_PKG_VERSION_MINOR",
        "CARGO_PKG_VERSION_PATCH",
    ];
    for (number, name) in version.iter_mut().zip(names) {
        let text = variable(name)?;
        *number = text.parse().map_err(|error| EmbedError::Version(text, error))?;
    }
    Ok(version)
}

fn variable(name: &'static str) -> Result<String, EmbedError> {
    env::var(name).map_err(|_| EmbedError::NotABuildScript(name))
}
