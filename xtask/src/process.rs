//! Running other programs.

use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// What is seen of a command that runs for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// It has the terminal.
    All,
    /// Its output appears in the error when it fails.
    OnFailure,
}

impl Show {
    /// Runs `command`.
    ///
    /// # Errors
    ///
    /// When it cannot be started or ends with a failure.
    pub fn run(self, command: &mut Command) -> Result<()> {
        match self {
            Self::All => run(command),
            Self::OnFailure => read(command).map(drop),
        }
    }
}

/// Runs `command` with the terminal attached.
///
/// # Errors
///
/// When it cannot be started or ends with a failure.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", describe(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", describe(command));
    }
    Ok(())
}

/// Runs `command` and returns what it printed, whether or not it succeeded.
///
/// # Errors
///
/// When it cannot be started.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("cannot start `{}`", describe(command)))
}

/// Runs `command` and returns its standard output.
///
/// # Errors
///
/// When it cannot be started, fails (the message has all that it printed), or prints something that is not UTF-8.
pub fn read(command: &mut Command) -> Result<String> {
    // Of what cargo says, only what went wrong is of interest later.
    command.env("CARGO_TERM_QUIET", "true");
    let output = output(command)?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({})\n{}{}",
            describe(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", describe(command)))
}

/// The command as one would type it, without the settings that every cross build has.
fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    let mut arguments = command.get_args();
    while let Some(argument) = arguments.next() {
        if argument == "--config" || argument == "-Z" {
            arguments.next();
        } else {
            words.push(argument.to_string_lossy().into_owned());
        }
    }
    words.join(" ")
}
