//! QEMU's guest agent: a service in the guest that starts programs for the host. JSON documents, one a line, over a Unix socket.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Between two tries to reach the agent, which answers only once the guest has started so far.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long one look for an answer waits.
const LOOK: Duration = Duration::from_millis(20);

/// What starts the tests in the guest: the script of the disk with the package.
const COMMAND: &str = r"& ('{0}:\scripts\Invoke-VmTest.ps1' -f (Get-Volume -FileSystemLabel CUSTOMDPC).DriveLetter)";

/// Starts the tests once in each start of the guest.
pub struct Agent {
    socket: PathBuf,
    interval: Duration,
    connection: Option<BufReader<UnixStream>>,
    /// What was read of a line that is not complete yet.
    partial: String,
    /// The number of the last try. The agent repeats it, so that an answer to an older one is told apart.
    tried: u64,
    last_try: Option<Instant>,
    /// The tests were started in this start of the guest.
    started: bool,
}

impl Agent {
    /// An agent whose channel is the socket at this path.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            interval: INTERVAL,
            connection: None,
            partial: String::new(),
            tried: 0,
            last_try: None,
            started: false,
        }
    }

    /// The guest starts again: the tests must be started again, too.
    pub fn restarted(&mut self) {
        self.started = false;
        self.partial.clear();
    }

    /// Does what can be done now. Returns whether the tests were started.
    ///
    /// What goes wrong is tried again: an agent that is not there yet looks like one that is never there.
    pub fn tend(&mut self) -> bool {
        if self.started {
            return false;
        }
        if self.last_try.is_none_or(|last| last.elapsed() >= self.interval) {
            self.last_try = Some(Instant::now());
            self.tried += 1;
            let number = self.tried;
            self.send(&json!({ "execute": "guest-sync", "arguments": { "id": number } }));
        }
        while let Some(answer) = self.answer() {
            if answer["return"] == json!(self.tried) {
                let arguments = ["-NoProfile", "-ExecutionPolicy", "Bypass", "-Command", COMMAND];
                self.started = self.send(&json!({
                    "execute": "guest-exec",
                    "arguments": { "path": "powershell.exe", "arg": arguments },
                }));
                return self.started;
            }
        }
        false
    }

    /// Sends a command; returns whether it was sent.
    fn send(&mut self, command: &Value) -> bool {
        if self.connection.is_none() {
            self.connection = UnixStream::connect(&self.socket).ok().and_then(|stream| {
                stream.set_read_timeout(Some(LOOK)).ok()?;
                stream.set_write_timeout(Some(LOOK)).ok()?;
                Some(BufReader::new(stream))
            });
        }
        let Some(connection) = &mut self.connection else {
            return false;
        };
        let sent = writeln!(connection.get_mut(), "{command}").is_ok();
        if !sent {
            self.connection = None;
        }
        sent
    }

    /// The next answer, if one has come.
    fn answer(&mut self) -> Option<Value> {
        let connection = self.connection.as_mut()?;
        match connection.read_line(&mut self.partial) {
            Ok(1..) if self.partial.ends_with('\n') => {
                let line = std::mem::take(&mut self.partial);
                // An agent that was interrupted by a restart may leave half a document.
                Some(serde_json::from_str(&line).unwrap_or(Value::Null))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            _ => {
                self.connection = None;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// An agent that leaves the first `deaf` commands unanswered, and says which commands it got, up to the second start of a program.
    fn stand_in(listener: UnixListener, deaf: usize) -> thread::JoinHandle<Vec<String>> {
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut answers = stream.try_clone().unwrap();
            let mut commands = Vec::new();
            for line in BufReader::new(stream).lines() {
                let command: Value = serde_json::from_str(&line.unwrap()).unwrap();
                let name = command["execute"].as_str().unwrap().to_owned();
                commands.push(name.clone());
                if commands.len() <= deaf {
                    continue;
                }
                let answer = if name == "guest-sync" {
                    command["arguments"]["id"].clone()
                } else {
                    let arguments = command["arguments"]["arg"].as_array().unwrap();
                    assert!(
                        arguments
                            .last()
                            .unwrap()
                            .as_str()
                            .unwrap()
                            .contains("Invoke-VmTest.ps1")
                    );
                    json!({ "pid": 4 })
                };
                writeln!(answers, "{}", json!({ "return": answer })).unwrap();
                if commands.iter().filter(|name| *name == "guest-exec").count() == 2 {
                    break;
                }
            }
            commands
        })
    }

    fn until_started(agent: &mut Agent) {
        let start = Instant::now();
        while !agent.tend() {
            assert!(start.elapsed() < Duration::from_secs(30), "the tests are started");
        }
    }

    #[test]
    fn the_tests_are_started_once_in_each_start_of_the_guest() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent.sock");
        let mut agent = Agent::new(&socket);
        agent.interval = Duration::from_millis(50);
        assert!(!agent.tend(), "there is no channel yet");
        let answering = stand_in(UnixListener::bind(&socket).unwrap(), 2);
        until_started(&mut agent);
        assert!(!agent.tend(), "not a second time");
        agent.restarted();
        until_started(&mut agent);
        let commands = answering.join().unwrap();
        assert_eq!(commands[..3], ["guest-sync"; 3]);
        assert_eq!(commands.iter().filter(|name| *name == "guest-exec").count(), 2);
    }
}
