//! A failure in JSON.

use std::fmt;

use serde::Serialize;

use crate::discovery::ChoiceError;
use crate::request::RequestError;
use crate::status::DeviceError;

/// What JSON says about a [`RequestError`], about what a check has found, or about why nothing was sent.
#[derive(Clone, Serialize)]
pub(crate) struct Failure {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    message: String,
}

impl Failure {
    /// Something that no request has failed with, but that should not be.
    pub(crate) fn unexpected(message: String) -> Self {
        Self::of_kind("unexpected", message)
    }

    /// A failure that is no error code of the system's.
    pub(crate) fn of_kind(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            name: None,
            message: message.into(),
        }
    }

    /// The same failure with `message`, which says more.
    pub(crate) fn with_message(self, message: String) -> Self {
        Self { message, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&RequestError> for Failure {
    fn from(error: &RequestError) -> Self {
        let kind = match error {
            RequestError::Device(device) => return Self::from(device),
            RequestError::AnswerLength { .. } => "answer_length",
            RequestError::WrongAnswer { .. } => "wrong_answer",
            RequestError::ImpossibleAnswer(_) => "impossible_answer",
        };
        Self::of_kind(kind, error.to_string())
    }
}

impl From<&DeviceError> for Failure {
    fn from(error: &DeviceError) -> Self {
        Self {
            kind: match error {
                DeviceError::Win32(_) => "win32",
                DeviceError::NtStatus(_) => "ntstatus",
            },
            code: Some(error.code()),
            name: error.name(),
            message: error.to_string(),
        }
    }
}

impl From<&ChoiceError> for Failure {
    fn from(error: &ChoiceError) -> Self {
        let kind = match error {
            ChoiceError::NoDevice => "no_device",
            ChoiceError::Several(_) => "several_devices",
            ChoiceError::NotThatMany { .. } => "no_such_device",
        };
        Self::of_kind(kind, error.to_string())
    }
}

#[cfg(windows)]
impl From<&crate::windows::OpenError> for Failure {
    fn from(error: &crate::windows::OpenError) -> Self {
        use crate::windows::OpenError;

        match error {
            OpenError::Choice(choice) => Self::from(choice),
            OpenError::Open { error: device, .. } => Self::from(device).with_message(error.to_string()),
            OpenError::List(code) => Self {
                code: Some(*code),
                ..Self::of_kind("configret", error.to_string())
            },
            OpenError::StopSignal(_) => Self::of_kind("ctrl_c", error.to_string()),
        }
    }
}
