//! A failed request in JSON.

use serde::Serialize;

use crate::request::RequestError;
use crate::status::DeviceError;

/// What JSON says about a [`RequestError`].
#[derive(Serialize)]
pub(crate) struct Failure {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    message: String,
}

impl From<&RequestError> for Failure {
    fn from(error: &RequestError) -> Self {
        let device = match error {
            RequestError::Device(device) => Some(*device),
            RequestError::AnswerLength { .. } | RequestError::WrongAnswer { .. } => None,
        };
        let kind = match error {
            RequestError::Device(DeviceError::Win32(_)) => "win32",
            RequestError::Device(DeviceError::NtStatus(_)) => "ntstatus",
            RequestError::AnswerLength { .. } => "answer_length",
            RequestError::WrongAnswer { .. } => "wrong_answer",
        };
        Self {
            kind,
            code: device.map(DeviceError::code),
            name: device.and_then(DeviceError::name),
            message: error.to_string(),
        }
    }
}
