//! A failure in JSON.

use std::fmt;

use serde::Serialize;

use crate::request::RequestError;
use crate::status::DeviceError;

/// What JSON says about a [`RequestError`], or about what a check has found.
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
    pub(crate) const fn unexpected(message: String) -> Self {
        Self {
            kind: "unexpected",
            code: None,
            name: None,
            message,
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
        let device = match error {
            RequestError::Device(device) => Some(*device),
            RequestError::AnswerLength { .. }
            | RequestError::WrongAnswer { .. }
            | RequestError::ImpossibleAnswer(_) => None,
        };
        let kind = match error {
            RequestError::Device(DeviceError::Win32(_)) => "win32",
            RequestError::Device(DeviceError::NtStatus(_)) => "ntstatus",
            RequestError::AnswerLength { .. } => "answer_length",
            RequestError::WrongAnswer { .. } => "wrong_answer",
            RequestError::ImpossibleAnswer(_) => "impossible_answer",
        };
        Self {
            kind,
            code: device.map(DeviceError::code),
            name: device.and_then(DeviceError::name),
            message: error.to_string(),
        }
    }
}
