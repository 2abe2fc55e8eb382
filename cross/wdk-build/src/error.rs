//! What can go wrong while a build is configured.

use std::{
    error::Error,
    fmt::{self, Debug, Formatter},
    io,
    path::PathBuf,
};

/// An I/O error together with the path it is about.
#[derive(thiserror::Error)]
#[error("cannot access {}", path.display())]
pub struct IoError {
    path: PathBuf,
    source: io::Error,
}

impl IoError {
    /// Attaches `path` to an error of an operation on it.
    pub fn with_path(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            path: path.into(),
            source,
        }
    }
}

/// An error that stops a build from being configured.
#[derive(thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read or written.
    #[error(transparent)]
    IoError(#[from] IoError),

    /// A directory that the kit should have is missing.
    #[error("cannot find directory: {directory}")]
    DirectoryNotFound {
        /// The missing directory.
        directory: String,
    },

    /// The build was started by plain `cargo`.
    #[error("{variable} is not set: cross builds are started by `cargo xtask`, which sets it")]
    NotStartedByXtask {
        /// The environment variable that is missing.
        variable: &'static str,
    },

    /// The driver's manifest cannot be understood.
    #[error("{}: {reason}", manifest.display())]
    Manifest {
        /// The manifest.
        manifest: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The target is no x86-64 one.
    #[error("target architecture {arch} is not supported by the cross build, only x86_64 is")]
    UnsupportedArchitecture {
        /// Cargo's name of the architecture.
        arch: String,
    },

    /// The C runtime is not linked statically.
    #[error("the C runtime must be linked statically: add `-C target-feature=+crt-static` to the target's rustflags")]
    StaticCrtNotEnabled,
}

// Build scripts return these errors from `main`, which prints them by `Debug`: a sentence is of more use there than the fields.

impl Debug for IoError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write_with_causes(self, formatter)
    }
}

impl Debug for ConfigError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write_with_causes(self, formatter)
    }
}

fn write_with_causes(error: &dyn Error, formatter: &mut Formatter<'_>) -> fmt::Result {
    write!(formatter, "{error}")?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(formatter, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_script_prints_is_a_sentence() {
        let error = ConfigError::NotStartedByXtask {
            variable: "WDK_CROSS_LIB",
        };
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[test]
    fn causes_are_printed_once() {
        let error = ConfigError::from(IoError::with_path("Cargo.toml", io::Error::other("no disk")));
        assert_eq!(format!("{error:?}"), "cannot access Cargo.toml: no disk");
    }
}
