//! What can go wrong with a QEMU.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use thiserror::Error;

/// The Debian package that brings QEMU for x86-64.
const PACKAGE: &str = "qemu-system-x86";

/// QEMU cannot be used, or cannot be used any longer.
#[derive(Debug, Error)]
pub enum QemuError {
    /// There is no such program.
    #[error("there is no {}: install it with `apt-get install --no-install-recommends {PACKAGE}`", program.display())]
    NotInstalled {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// Its files or its sockets could not be made, or the program could not be started.
    #[error("cannot {what}: {error}")]
    Setup {
        /// What could not be done.
        what: String,
        /// Why.
        error: io::Error,
    },
    /// The process has ended.
    #[error("QEMU has ended ({status}) when it was told `{told}`{}", quoted(.said))]
    Ended {
        /// The command that it was given last.
        told: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error.
        said: String,
    },
    /// It has not answered, and was killed.
    #[error("QEMU has not answered `{told}` within {} s, and was killed{}", .patience.as_secs_f64(), quoted(.said))]
    Silent {
        /// The command that it was given last.
        told: String,
        /// How long it was waited for.
        patience: Duration,
        /// What it wrote to its standard error.
        said: String,
    },
    /// It answered something else than was expected.
    #[error("QEMU has answered `{told}` with `{answer}`{}", quoted(.said))]
    Refused {
        /// The command that it was given.
        told: String,
        /// The answer.
        answer: String,
        /// What it wrote to its standard error.
        said: String,
    },
}

/// The end of a message that tells what QEMU itself has to say.
fn quoted(said: &str) -> String {
    let said = said.trim_end();
    if said.is_empty() {
        String::new()
    } else {
        format!("; it says:\n{said}")
    }
}
