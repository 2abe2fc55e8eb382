//! The commands, one module each: what they ask, how they judge the answer, how they show it.

pub(crate) mod echo;
pub(crate) mod factorial;
pub(crate) mod failure;
pub(crate) mod info;
pub(crate) mod liveness;
pub(crate) mod raise;
pub(crate) mod read;
pub(crate) mod selftest;
pub(crate) mod stats;
pub(crate) mod wait;
pub(crate) mod write;

use std::fmt::Display;
use std::io::{self, Write};

use edu::ioctl::Request;
use serde::Serialize;

use crate::request::Pending;
use crate::transport::Transport;

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Every request succeeded with the answer of a device without faults.
    Succeeded,
    /// At least one did not.
    Failed,
}

impl Outcome {
    /// What to exit with: 0 or 1. (2 is for wrong usage and for a device that cannot be reached.)
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
        }
    }

    const fn of(ok: bool) -> Self {
        if ok { Self::Succeeded } else { Self::Failed }
    }
}

/// The JSON document of a command.
#[derive(Serialize)]
struct Document<'a, T> {
    command: &'static str,
    ok: bool,
    #[serde(flatten)]
    body: &'a T,
}

fn write_json<T: Serialize>(out: &mut dyn Write, command: &'static str, ok: bool, body: &T) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Document { command, ok, body })?;
    writeln!(out)
}

/// Writes a line at once, so that it is seen while later requests are still under way.
fn write_line(out: &mut dyn Write, line: &dyn Display) -> io::Result<()> {
    writeln!(out, "{line}")?;
    out.flush()
}

/// Ends requests that nobody will see the answers of. Nothing is left to report a failure to.
fn abandon<R: Request>(pending: impl IntoIterator<Item = Pending<R>>, transport: &mut dyn Transport) {
    let pending: Vec<_> = pending.into_iter().collect();
    for request in &pending {
        request.cancel(transport);
    }
    for request in pending {
        let _ = request.wait(transport);
    }
}
