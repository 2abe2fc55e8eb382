//! QEMU's monitor protocol (QMP): the PC as a whole is stopped, let run, and reset.
//!
//! A command is a JSON object on a line, and so is its answer; events come in between.

use serde_json::{Value, json};

use super::{
    channel::{Channel, Trouble},
    qtest::Failed,
};

/// The connection.
#[derive(Debug)]
pub(super) struct Qmp(Channel);

impl Qmp {
    /// Takes the connection over and agrees on the protocol's version.
    pub(super) fn new(mut channel: Channel) -> Result<Self, Failed> {
        let greeting = channel.receive(|line| Some(line.contains("\"QMP\"")));
        match greeting {
            Ok(true) => {}
            Ok(false) => return Err(Failed::refused("the greeting of QMP", "something else")),
            Err(trouble) => {
                let command = "the greeting of QMP".to_owned();
                return Err(Failed { command, trouble });
            }
        }
        let mut qmp = Self(channel);
        qmp.execute("qmp_capabilities", None)?;
        Ok(qmp)
    }

    /// Lets the PC run: its clock goes on.
    pub(super) fn cont(&mut self) -> Result<(), Failed> {
        self.execute("cont", None)
    }

    /// Stops the PC: its clock stands, and no timer expires.
    pub(super) fn stop(&mut self) -> Result<(), Failed> {
        self.execute("stop", None)
    }

    /// Resets the PC, as its reset button does.
    pub(super) fn system_reset(&mut self) -> Result<(), Failed> {
        // The answer says that the reset was asked for, the event that it was made.
        self.execute("system_reset", Some("RESET"))
    }

    /// Has a command carried out, and waits for the event `until` as well.
    fn execute(&mut self, command: &str, until: Option<&str>) -> Result<(), Failed> {
        let line = json!({ "execute": command }).to_string();
        let (mut returned, mut happened) = (false, until.is_none());
        let done = self.0.send(&line).and_then(|()| {
            self.0.receive(|line| {
                let Ok(message) = serde_json::from_str::<Value>(line) else {
                    return Some(Err(Trouble::Refused(line.to_owned())));
                };
                if message.get("error").is_some() {
                    return Some(Err(Trouble::Refused(line.to_owned())));
                }
                returned |= message.get("return").is_some();
                happened |= until.is_some_and(|event| message["event"] == event);
                (returned && happened).then_some(Ok(()))
            })?
        });
        done.map_err(|trouble| Failed {
            command: command.to_owned(),
            trouble,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream, time::Duration};

    use super::*;

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n{\"return\": {}}\n";

    fn answered(text: &str) -> (Result<Qmp, Failed>, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(text.as_bytes()).unwrap();
        let channel = Channel::new(ours, Duration::from_millis(50)).unwrap();
        (Qmp::new(channel), theirs)
    }

    #[test]
    fn a_command_is_done_when_it_says_so_and_a_reset_when_it_was_made() {
        let (qmp, mut qemu) = answered(GREETING);
        let mut qmp = qmp.unwrap();
        qemu.write_all(b"{\"event\": \"RESUME\"}\n{\"return\": {}}\n").unwrap();
        qmp.cont().unwrap();
        qemu.write_all(b"{\"return\": {}}\n{\"event\": \"RESET\", \"data\": {}}\n")
            .unwrap();
        qmp.system_reset().unwrap();
        qemu.write_all(b"{\"return\": {}}\n").unwrap();
        let failed = qmp.system_reset().unwrap_err();
        assert!(
            matches!(failed.trouble, Trouble::Silent),
            "it was asked for only: {failed:?}"
        );
    }

    #[test]
    fn an_error_and_a_wrong_greeting_are_told() {
        let (qmp, mut qemu) = answered(GREETING);
        qemu.write_all(b"{\"error\": {\"class\": \"GenericError\"}}\n").unwrap();
        let failed = qmp.unwrap().stop().unwrap_err();
        assert!(matches!(failed.trouble, Trouble::Refused(_)), "{failed:?}");
        assert!(answered("OK\n").0.is_err());
    }
}
