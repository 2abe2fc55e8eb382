//! `raise BITS`: the device raises an interrupt, and the driver sees it.

use std::io::{self, Write};

use edu::ioctl::{RaiseInput, RaiseInterrupt};
use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::request::{Number, call};
use crate::transport::Transport;

pub(crate) fn run(
    input: RaiseInput,
    transport: &mut dyn Transport,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    let result = call::<RaiseInterrupt>(transport, &input);
    if json {
        let report = Report {
            causes: input.causes,
            error: result.as_ref().err().map(Failure::from),
        };
        write_json(out, "raise", result.is_ok(), &report)?;
    } else {
        let causes = Number::Hexadecimal(input.causes);
        match &result {
            Ok(()) => write_line(out, &format_args!("{causes} raised: the driver has seen the interrupt"))?,
            Err(error) => write_line(out, &format_args!("{causes} failed: {error}"))?,
        }
    }
    Ok(Outcome::of(result.is_ok()))
}

#[derive(Serialize)]
struct Report {
    causes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::Outcome;
    use crate::fake::{FakeDevice, run_json, run_text};
    use crate::status::DeviceError;

    #[test]
    fn a_raise_ends_when_the_driver_has_seen_it() {
        let (outcome, text) = run_text(&mut FakeDevice::sound(), &["raise", "0x30"]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert_eq!(text, "0x00000030 raised: the driver has seen the interrupt\n");
    }

    #[test]
    fn a_lost_interrupt_is_a_failure() {
        let mut device = FakeDevice::sound().answering(|_| Some(Err(DeviceError::Win32(121))));
        let (outcome, text) = run_text(&mut device, &["raise", "48"]);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(
            text,
            "0x00000030 failed: ERROR_SEM_TIMEOUT (121): the device did not answer in time\n"
        );
    }

    #[test]
    fn json_has_the_causes() {
        let (outcome, document) = run_json(&mut FakeDevice::sound(), &["raise", "2"]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert_eq!(document, json!({"command": "raise", "ok": true, "causes": 2}));
    }
}
