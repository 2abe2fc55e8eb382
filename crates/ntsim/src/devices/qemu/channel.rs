//! A connection to QEMU that carries lines of text. No wait on it is endless.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// Why there is no answer, or none that can be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// QEMU has closed the connection.
    Closed,
    /// Nothing came in time.
    Silent,
    /// Something else was answered than was expected.
    Refused(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            // A socket that the other side has closed has no other errors.
            _ => Self::Closed,
        }
    }
}

/// The connection.
#[derive(Debug)]
pub(super) struct Channel {
    stream: BufReader<UnixStream>,
    patience: Duration,
}

impl Channel {
    /// Takes `stream` over. Each answer on it is waited for as long as `patience` says.
    pub(super) fn new(stream: UnixStream, patience: Duration) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            stream: BufReader::new(stream),
            patience,
        })
    }

    /// Sends a line.
    pub(super) fn send(&mut self, line: &str) -> Result<(), Trouble> {
        Ok(self.stream.get_mut().write_all(format!("{line}\n").as_bytes())?)
    }

    /// Receives lines until `read` makes an answer of one.
    pub(super) fn receive<T>(&mut self, mut read: impl FnMut(&str) -> Option<T>) -> Result<T, Trouble> {
        let deadline = Instant::now() + self.patience;
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Err(Trouble::Closed);
            }
            if let Some(answer) = read(String::from_utf8_lossy(&line).trim_end()) {
                return Ok(answer);
            }
            // It may well talk, but not about what it was asked.
            if Instant::now() >= deadline {
                return Err(Trouble::Silent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel, and the end of it that QEMU has.
    fn channel() -> (Channel, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Channel::new(ours, Duration::from_millis(20)).unwrap(), theirs)
    }

    #[test]
    fn lines_that_are_no_answer_are_passed_over() {
        let (mut channel, mut qemu) = channel();
        qemu.write_all(b"IRQ raise 1\nOK 5\n").unwrap();
        let answer = channel.receive(|line| line.strip_prefix("OK ").map(str::to_owned));
        assert_eq!(answer.unwrap(), "5");
    }

    #[test]
    fn silence_talk_and_a_closed_connection_end_the_wait() {
        let (mut channel, mut qemu) = channel();
        let mut receive = || channel.receive(|_| None::<()>);
        assert!(matches!(receive(), Err(Trouble::Silent)));
        qemu.write_all("IRQ raise 1\n".repeat(3).as_bytes()).unwrap();
        assert!(matches!(receive(), Err(Trouble::Silent)));
        drop(qemu);
        assert!(matches!(receive(), Err(Trouble::Closed)));
        assert!(matches!(channel.send("x"), Err(Trouble::Closed)));
    }
}
