//! QEMU's qtest protocol: memory, ports and interrupt inputs of the PC, without a program that runs on it.
//!
//! A command is a line, and so is its answer. Changes of interrupt inputs are reported by lines of their own, ahead of the answer to the
//! command that they were seen at. QEMU documents the protocol in `docs/devel/testing/qtest.rst`.

use super::channel::{Channel, Trouble};
use crate::bus::Width;

/// The connection.
#[derive(Debug)]
pub(super) struct Qtest {
    channel: Channel,
    /// The interrupt input that is watched.
    input: u32,
    level: bool,
    /// The levels that it has changed to.
    edges: Vec<bool>,
}

impl Qtest {
    /// Takes the connection over. `input` is the input of the I/O APIC that is watched once [`intercept`](Self::intercept) was called.
    pub(super) fn new(channel: Channel, input: u32) -> Self {
        Self {
            channel,
            input,
            level: false,
            edges: Vec::new(),
        }
    }

    /// Has QEMU report what happens at the I/O APIC's inputs.
    pub(super) fn intercept(&mut self) -> Result<(), Failed> {
        self.command("irq_intercept_in ioapic".to_owned()).map(drop)
    }

    /// Whether the interrupt input is high, as far as QEMU had reported by its last answer.
    pub(super) fn level(&self) -> bool {
        self.level
    }

    /// The levels that the interrupt input has changed to since the last call.
    pub(super) fn take_edges(&mut self) -> Vec<bool> {
        std::mem::take(&mut self.edges)
    }

    /// The levels that the interrupt input has changed to since they were taken.
    pub(super) fn edges(&self) -> &[bool] {
        &self.edges
    }

    /// Forgets what the interrupt input has done the edges `before` were seen and its level was `level`, but for the
    /// level that it has now.
    pub(super) fn keep_level_only(&mut self, before: Vec<bool>, level: bool) {
        self.edges = before;
        if self.level != level {
            self.edges.push(self.level);
        }
    }

    pub(super) fn read(&mut self, address: u64, width: Width) -> Result<u64, Failed> {
        self.number(format!("read{} {address:#x}", letter(width)))
    }

    pub(super) fn write(&mut self, address: u64, width: Width, value: u64) -> Result<(), Failed> {
        self.command(format!("write{} {address:#x} {value:#x}", letter(width)))
            .map(drop)
    }

    pub(super) fn read_port(&mut self, port: u16, width: Width) -> Result<u64, Failed> {
        self.number(format!("in{} {port:#x}", letter(width)))
    }

    pub(super) fn write_port(&mut self, port: u16, width: Width, value: u64) -> Result<(), Failed> {
        self.command(format!("out{} {port:#x} {value:#x}", letter(width)))
            .map(drop)
    }

    /// Reads memory; `buffer` is not empty.
    pub(super) fn read_memory(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), Failed> {
        let command = format!("read {address:#x} {:#x}", buffer.len());
        let answer = self.command(command.clone())?;
        let digits = answer.strip_prefix("0x").unwrap_or(&answer);
        hex::decode_to_slice(digits, buffer).map_err(|_| Failed::refused(command, answer))
    }

    /// Writes memory; `bytes` is not empty.
    pub(super) fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<(), Failed> {
        let command = format!("write {address:#x} {:#x} 0x{}", bytes.len(), hex::encode(bytes));
        self.command(command).map(drop)
    }

    fn number(&mut self, command: String) -> Result<u64, Failed> {
        let answer = self.command(command.clone())?;
        let digits = answer.strip_prefix("0x").unwrap_or(&answer);
        u64::from_str_radix(digits, 16).map_err(|_| Failed::refused(command, answer))
    }

    /// Sends a command; what its answer says behind `OK`.
    fn command(&mut self, command: String) -> Result<String, Failed> {
        let (input, level, edges) = (self.input, &mut self.level, &mut self.edges);
        let answer = self.channel.send(&command).and_then(|()| {
            self.channel.receive(|line| match Line::of(line) {
                Line::Change { input: changed, high } => {
                    if changed == input && high != *level {
                        *level = high;
                        edges.push(high);
                    }
                    None
                }
                Line::Done(value) => Some(Ok(value.to_owned())),
                Line::Other => Some(Err(Trouble::Refused(line.to_owned()))),
            })?
        });
        answer.map_err(|trouble| Failed { command, trouble })
    }
}

/// A command that has failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) command: String,
    pub(super) trouble: Trouble,
}

impl Failed {
    pub(super) fn refused(command: impl Into<String>, answer: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            trouble: Trouble::Refused(answer.into()),
        }
    }
}

/// What a line of QEMU's says.
#[derive(Debug, PartialEq, Eq)]
enum Line<'l> {
    /// An interrupt input has changed.
    Change {
        input: u32,
        high: bool,
    },
    /// The command is done; the value that it gives.
    Done(&'l str),
    Other,
}

impl<'l> Line<'l> {
    fn of(line: &'l str) -> Self {
        if let Some(value) = line.strip_prefix("OK") {
            return Self::Done(value.trim_start());
        }
        let change = line.strip_prefix("IRQ ").and_then(|change| {
            let (verb, input) = change.split_once(' ')?;
            let high = match verb {
                "raise" => true,
                "lower" => false,
                _ => return None,
            };
            let input = input.parse().ok()?;
            Some(Self::Change { input, high })
        });
        change.unwrap_or(Self::Other)
    }
}

/// The letter that a command of this width ends with.
fn letter(width: Width) -> char {
    match width {
        Width::Byte => 'b',
        Width::Word => 'w',
        Width::Dword => 'l',
        Width::Qword => 'q',
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream, time::Duration};

    use super::*;

    /// A connection on which QEMU has answered already.
    fn answered(text: &str) -> (Qtest, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(text.as_bytes()).unwrap();
        let channel = Channel::new(ours, Duration::from_secs(1)).unwrap();
        (Qtest::new(channel, 20), theirs)
    }

    #[test]
    fn changes_of_the_watched_input_are_noted() {
        let (mut qtest, _qemu) =
            answered("IRQ raise 2\nIRQ raise 20\nIRQ lower 20\nIRQ raise 20\nOK 0x0000000000000005\n");
        assert_eq!(qtest.read(0x24, Width::Dword).unwrap(), 5);
        assert!(qtest.level());
        assert_eq!(qtest.take_edges(), [true, false, true]);
        assert!(qtest.take_edges().is_empty());
    }

    #[test]
    fn an_answer_that_is_none_is_told_with_the_command() {
        for answer in ["FAIL Unknown command 'readl'\n", "OK five\n"] {
            let (mut qtest, _qemu) = answered(answer);
            let failed = qtest.read(0x24, Width::Dword).unwrap_err();
            assert_eq!(failed.command, "readl 0x24");
            assert!(matches!(failed.trouble, Trouble::Refused(_)), "{failed:?}");
        }
    }

    #[test]
    fn memory_is_read_in_hexadecimal_digits() {
        let (mut qtest, _qemu) = answered("OK 0x01ff\nOK 0x01\n");
        let mut bytes = [0; 2];
        qtest.read_memory(0x1000, &mut bytes).unwrap();
        assert_eq!(bytes, [0x01, 0xFF]);
        assert!(qtest.read_memory(0x1000, &mut bytes).is_err(), "too few came");
    }
}
