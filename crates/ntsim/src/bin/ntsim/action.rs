//! What a user has a program or the system do to a driver: one action of the command line, or one line of a script.

use std::{fmt, str::FromStr};

use ntsim::po::SystemState;
use thiserror::Error;

/// How long a request may take before the next action, unless another limit is given: a second of virtual time.
pub(crate) const PATIENCE_MS: u64 = 1000;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open a device: the actions that follow act on it until it is closed.
    Open(Target),
    /// `DeviceIoControl`.
    Ioctl {
        /// The control code.
        code: u32,
        /// The input buffer's contents.
        input: Vec<u8>,
        /// The output buffer's length in bytes.
        output_length: usize,
    },
    /// `ReadFile`.
    Read {
        /// Bytes.
        length: usize,
        /// The byte offset.
        offset: u64,
    },
    /// `WriteFile`.
    Write {
        /// What is written.
        data: Vec<u8>,
        /// The byte offset.
        offset: u64,
    },
    /// `CancelIoEx` for everything that the open device has under way.
    Cancel,
    /// `CloseHandle`.
    Close,
    /// Let virtual time pass, in milliseconds.
    Pause(u64),
    /// Send the system to sleep, and wake it.
    Sleep(SystemState),
    /// Stop the device and start it again, as for a rebalance of resources.
    Stop,
    /// Pull the device out.
    Surprise,
}

/// What to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The device interface at this index among the enabled ones.
    Interface(usize),
    /// A name, as `CreateFile` takes it.
    Name(String),
}

/// What is wrong with an action's text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ActionError {
    #[error("{0:?} is no action; there are open, ioctl, read, write, cancel, close, sleep, stop and surprise")]
    Unknown(String),
    #[error("{action} needs {needs}")]
    Missing { action: &'static str, needs: &'static str },
    #[error("{action} takes no argument, and {given:?} was given")]
    Surplus { action: &'static str, given: String },
    #[error("{text:?} is not {what}")]
    Malformed { text: String, what: &'static str },
}

const IOCTL_FORM: &str =
    "CODE:HEX:LEN, such as 0x222000:01000000:4 (control code, input in hexadecimal digits, length of the output)";
const READ_FORM: &str = "LEN or LEN@OFFSET, such as 16@0x100";
const WRITE_FORM: &str = "HEX or HEX@OFFSET, such as 0a0b@0x100";
const SLEEP_FORM: &str = "milliseconds, such as 10, or a sleeping state S1 to S4";

fn malformed(text: &str, what: &'static str) -> ActionError {
    ActionError::Malformed {
        text: text.to_owned(),
        what,
    }
}

/// A number in decimal, or in hexadecimal with `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What stands before and after the `@` of a position; offset 0 without one.
fn at_offset(text: &str) -> Option<(&str, u64)> {
    match text.split_once('@') {
        Some((what, offset)) => Some((what, number(offset)?)),
        None => Some((text, 0)),
    }
}

impl Action {
    /// `--open NAME` or `--open interface[:INDEX]`.
    pub(crate) fn open(text: &str) -> Result<Self, ActionError> {
        let what = "interface, interface:INDEX, or a device's name";
        let target = match text.strip_prefix("interface") {
            Some("") => Target::Interface(0),
            Some(rest) if rest.starts_with(':') => {
                let index = rest[1..].parse().map_err(|_| malformed(text, what))?;
                Target::Interface(index)
            }
            _ if text.is_empty() => return Err(malformed(text, what)),
            _ => Target::Name(text.to_owned()),
        };
        Ok(Self::Open(target))
    }

    /// `--ioctl CODE:HEX:LEN`.
    pub(crate) fn ioctl(text: &str) -> Result<Self, ActionError> {
        let parse = || {
            let mut parts = text.split(':');
            let (code, input, length) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() {
                return None;
            }
            Some(Self::Ioctl {
                code: u32::try_from(number(code)?).ok()?,
                input: hex::decode(input).ok()?,
                output_length: length_of(length)?,
            })
        };
        parse().ok_or_else(|| malformed(text, IOCTL_FORM))
    }

    /// `--read LEN[@OFFSET]`.
    pub(crate) fn read(text: &str) -> Result<Self, ActionError> {
        let parse = || {
            let (length, offset) = at_offset(text)?;
            Some(Self::Read {
                length: length_of(length)?,
                offset,
            })
        };
        parse().ok_or_else(|| malformed(text, READ_FORM))
    }

    /// `--write HEX[@OFFSET]`.
    pub(crate) fn write(text: &str) -> Result<Self, ActionError> {
        let parse = || {
            let (data, offset) = at_offset(text)?;
            Some(Self::Write {
                data: hex::decode(data).ok()?,
                offset,
            })
        };
        parse().ok_or_else(|| malformed(text, WRITE_FORM))
    }

    /// `--sleep MS` or `--sleep S1` to `S4`.
    pub(crate) fn sleep(text: &str) -> Result<Self, ActionError> {
        let state = match text.to_ascii_uppercase().as_str() {
            "S1" => Some(SystemState::S1),
            "S2" => Some(SystemState::S2),
            "S3" => Some(SystemState::S3),
            "S4" => Some(SystemState::Hibernate),
            _ => None,
        };
        match (state, number(text)) {
            (Some(state), _) => Ok(Self::Sleep(state)),
            (None, Some(milliseconds)) if milliseconds <= LONGEST_PAUSE_MS => Ok(Self::Pause(milliseconds)),
            _ => Err(malformed(text, SLEEP_FORM)),
        }
    }
}

/// A day.
const LONGEST_PAUSE_MS: u64 = 24 * 60 * 60 * 1000;

/// The length of a buffer: below 4 GiB, as in Win32.
fn length_of(text: &str) -> Option<usize> {
    u32::try_from(number(text)?).ok().map(|length| length as usize)
}

impl FromStr for Action {
    type Err = ActionError;

    /// A line of a script: the action's name, and its argument if it has one.
    fn from_str(line: &str) -> Result<Self, ActionError> {
        let line = line.trim();
        let (name, argument) = match line.split_once(char::is_whitespace) {
            Some((name, argument)) => (name, argument.trim()),
            None => (line, ""),
        };
        let with = |action, needs, parse: fn(&str) -> Result<Self, ActionError>| {
            if argument.is_empty() {
                return Err(ActionError::Missing { action, needs });
            }
            parse(argument)
        };
        let alone = |action, this| {
            if argument.is_empty() {
                return Ok(this);
            }
            let given = argument.to_owned();
            Err(ActionError::Surplus { action, given })
        };
        match name {
            "open" => with("open", "interface or a device's name", Self::open),
            "ioctl" => with("ioctl", IOCTL_FORM, Self::ioctl),
            "read" => with("read", READ_FORM, Self::read),
            "write" => with("write", WRITE_FORM, Self::write),
            "sleep" => with("sleep", SLEEP_FORM, Self::sleep),
            "cancel" => alone("cancel", Self::Cancel),
            "close" => alone("close", Self::Close),
            "stop" => alone("stop", Self::Stop),
            "surprise" => alone("surprise", Self::Surprise),
            _ => Err(ActionError::Unknown(name.to_owned())),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(Target::Interface(index)) => write!(f, "open interface:{index}"),
            Self::Open(Target::Name(name)) => write!(f, "open {name}"),
            Self::Ioctl {
                code,
                input,
                output_length,
            } => write!(f, "ioctl {code:#x}:{}:{output_length}", hex::encode(input)),
            Self::Read { length, offset } => write!(f, "read {length}@{offset:#x}"),
            Self::Write { data, offset } => write!(f, "write {}@{offset:#x}", hex::encode(data)),
            Self::Cancel => f.write_str("cancel"),
            Self::Close => f.write_str("close"),
            Self::Pause(milliseconds) => write!(f, "sleep {milliseconds}"),
            Self::Sleep(state) => write!(f, "sleep {state}"),
            Self::Stop => f.write_str("stop"),
            Self::Surprise => f.write_str("surprise"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Action {
        line.parse().unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn every_action_can_be_written() {
        assert_eq!(parsed("open interface"), Action::Open(Target::Interface(0)));
        assert_eq!(parsed("open interface:2"), Action::Open(Target::Interface(2)));
        assert_eq!(
            parsed("open \\\\.\\Event"),
            Action::Open(Target::Name("\\\\.\\Event".to_owned()))
        );
        assert_eq!(
            parsed("ioctl 0x222000:0a0B:4"),
            Action::Ioctl {
                code: 0x22_2000,
                input: vec![10, 11],
                output_length: 4
            }
        );
        assert_eq!(
            parsed("ioctl 2236416::0"),
            Action::Ioctl {
                code: 0x22_2000,
                input: vec![],
                output_length: 0
            }
        );
        assert_eq!(
            parsed("  read 16@0x100 "),
            Action::Read {
                length: 16,
                offset: 0x100
            }
        );
        assert_eq!(
            parsed("write ff"),
            Action::Write {
                data: vec![255],
                offset: 0
            }
        );
        assert_eq!(parsed("sleep 10"), Action::Pause(10));
        assert_eq!(parsed("sleep s3"), Action::Sleep(SystemState::S3));
        for (line, action) in [
            ("cancel", Action::Cancel),
            ("close", Action::Close),
            ("stop", Action::Stop),
            ("surprise", Action::Surprise),
        ] {
            assert_eq!(parsed(line), action);
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for line in [
            "open interface:1",
            "ioctl 0x222000:0a0b:4",
            "read 16@0x100",
            "write ff@0x0",
            "sleep S3",
            "sleep 10",
        ] {
            assert_eq!(parsed(line).to_string(), line);
        }
    }

    #[test]
    fn a_wrong_action_is_told_what_is_wrong() {
        let error = |line: &str| line.parse::<Action>().unwrap_err().to_string();
        assert!(error("jump").contains("\"jump\" is no action; there are open"));
        assert!(error("ioctl").contains("ioctl needs CODE:HEX:LEN"));
        assert!(error("ioctl 0x222000:0a0:4").contains("\"0x222000:0a0:4\" is not CODE:HEX:LEN"));
        assert!(error("ioctl 0x222000:0a0a:4:4").contains("is not CODE:HEX:LEN"));
        assert!(error("ioctl 0x1222000000::4").contains("is not CODE:HEX:LEN"));
        assert!(error("read many").contains("is not LEN or LEN@OFFSET"));
        assert!(error("sleep S9").contains("a sleeping state S1 to S4"));
        assert!(error("close now").contains("close takes no argument"));
        assert!(error("open interface:x").contains("interface:INDEX"));
    }
}
