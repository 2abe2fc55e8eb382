//! QEMU's own protocol (QMP): JSON documents, one a line, over a Unix socket. It tells of restarts and of the guest's end.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::session::Event;

/// How long QEMU may take to open the socket, and to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one look for events waits.
const LOOK: Duration = Duration::from_millis(50);

/// A connection to QEMU.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// What was read of a line that is not complete yet.
    partial: String,
    /// QEMU has closed its end.
    closed: bool,
    /// Events that came while an answer was waited for.
    pending: Vec<Event>,
}

impl Qmp {
    /// Connects to the socket at `path` of a QEMU that was just started, and agrees on the protocol.
    ///
    /// # Errors
    ///
    /// When QEMU does not open the socket in time, does not answer, or has ended.
    pub fn connect(path: &Path, qemu: &mut Child) -> Result<Self> {
        let start = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if start.elapsed() > PATIENCE || qemu.try_wait()?.is_some() => {
                    return Err(error).with_context(|| format!("QEMU did not open {}", path.display()));
                }
                Err(_) => thread::sleep(LOOK),
            }
        };
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut qmp = Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
            partial: String::new(),
            closed: false,
            pending: Vec::new(),
        };
        qmp.command("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Sends a command and waits until QEMU has answered it.
    ///
    /// # Errors
    ///
    /// When QEMU refuses the command, does not answer in time, or is gone.
    pub fn command(&mut self, name: &str, arguments: &Value) -> Result<()> {
        let command = json!({ "execute": name, "arguments": arguments });
        writeln!(self.writer, "{command}").context("QEMU takes no commands any more")?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let Some(document) = self.document()? else {
                if self.closed {
                    bail!("QEMU ended before it answered {name}");
                }
                continue;
            };
            if document.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = document.get("error") {
                bail!("QEMU refused {name}: {error}");
            }
            self.pending.extend(event(&document));
        }
        bail!("QEMU did not answer {name}")
    }

    /// The events that have come since the last look.
    ///
    /// # Errors
    ///
    /// When what QEMU sends is no JSON. That it has ended shows in its process.
    pub fn events(&mut self) -> Result<Vec<Event>> {
        let mut events = std::mem::take(&mut self.pending);
        while let Some(document) = self.document()? {
            events.extend(event(&document));
        }
        Ok(events)
    }

    /// The next document, if one comes within [`LOOK`].
    fn document(&mut self) -> Result<Option<Value>> {
        match self.reader.read_line(&mut self.partial) {
            Ok(0) => {
                self.closed = true;
                Ok(None)
            }
            Ok(_) if self.partial.ends_with('\n') => {
                let line = std::mem::take(&mut self.partial);
                let document = serde_json::from_str(&line).with_context(|| format!("QEMU sent no JSON: {line}"))?;
                Ok(Some(document))
            }
            Ok(_) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.closed = true;
                Ok(None)
            }
            Err(error) => Err(error).context("cannot read what QEMU says"),
        }
    }
}

/// What a document tells of the guest, if it does.
fn event(document: &Value) -> Option<Event> {
    match document.get("event")?.as_str()? {
        "RESET" => Some(Event::Reset),
        "SHUTDOWN" => Some(Event::Shutdown),
        "GUEST_PANICKED" => Some(Event::Panicked),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_guests_life_are_told_apart() {
        let of = |name: &str| event(&json!({ "event": name, "data": { "guest": true } }));
        assert!(matches!(of("RESET"), Some(Event::Reset)));
        assert!(matches!(of("SHUTDOWN"), Some(Event::Shutdown)));
        assert!(matches!(of("GUEST_PANICKED"), Some(Event::Panicked)));
        assert!(of("RTC_CHANGE").is_none());
        assert!(event(&json!({ "return": {} })).is_none());
    }
}
