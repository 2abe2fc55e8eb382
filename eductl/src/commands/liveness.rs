//! `liveness [VALUE]`: the device inverts every bit.

use std::io::{self, Write};

use edu::ioctl::{Liveness, LivenessInput};
use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::request::{Number, RequestError, call};
use crate::transport::Transport;

pub(crate) fn run(value: u32, transport: &mut dyn Transport, json: bool, out: &mut dyn Write) -> io::Result<Outcome> {
    let result = check(LivenessInput { value }, transport);
    if json {
        let report = Report {
            value,
            answer: result.as_ref().ok().copied(),
            error: result.as_ref().err().map(Failure::from),
        };
        write_json(out, "liveness", result.is_ok(), &report)?;
    } else {
        let value = Number::Hexadecimal(value);
        match &result {
            Ok(answer) => {
                write_line(
                    out,
                    &format_args!("{value} -> {}: the device is alive", Number::Hexadecimal(*answer)),
                )?;
            }
            Err(error) => write_line(out, &format_args!("{value} failed: {error}"))?,
        }
    }
    Ok(Outcome::of(result.is_ok()))
}

/// Asks the device, and checks its answer.
pub(super) fn check(input: LivenessInput, transport: &mut dyn Transport) -> Result<u32, RequestError> {
    let answer = call::<Liveness>(transport, &input)?;
    let expected = input.expected();
    if answer == expected {
        Ok(answer.answer)
    } else {
        Err(RequestError::WrongAnswer {
            expected: Number::Hexadecimal(expected.answer),
            answer: Number::Hexadecimal(answer.answer),
        })
    }
}

#[derive(Serialize)]
struct Report {
    value: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::Outcome;
    use crate::fake::{FakeDevice, run_json, run_text};

    #[test]
    fn the_inverse_means_alive() {
        let (outcome, text) = run_text(&mut FakeDevice::sound(), &["liveness", "0x12345678"]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert_eq!(text, "0x12345678 -> 0xedcba987: the device is alive\n");
    }

    #[test]
    fn anything_else_is_a_failure() {
        let mut device = FakeDevice::sound().answering(|_| Some(Ok(0x1234_5678_u32.to_le_bytes().to_vec())));
        let (outcome, text) = run_text(&mut device, &["liveness", "0x12345678"]);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(
            text,
            "0x12345678 failed: the device answered 0x12345678 instead of 0xedcba987\n"
        );
    }

    #[test]
    fn json_has_value_and_answer() {
        let (outcome, document) = run_json(&mut FakeDevice::sound(), &["liveness", "1"]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert_eq!(
            document,
            json!({"command": "liveness", "ok": true, "value": 1, "answer": 0xFFFF_FFFE_u32})
        );
    }
}
