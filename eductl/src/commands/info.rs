//! `info`: what device and driver are there, and does this eductl fit them?

use std::fmt;
use std::io::{self, Write};

use edu::ioctl::{ABI_VERSION, DeviceInfo, QueryInfo};
use edu::registers::Identification;
use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::request::call;
use crate::transport::Transport;

pub(crate) fn run(transport: &mut dyn Transport, json: bool, out: &mut dyn Write) -> io::Result<Outcome> {
    let answer = call::<QueryInfo>(transport, &());
    let ok = answer.as_ref().is_ok_and(|info| problems(info).is_empty());
    match answer {
        Ok(info) if json => write_json(out, "info", ok, &Report::from(&info))?,
        Ok(info) => write_line(out, &Text(info))?,
        Err(error) if json => write_json(
            out,
            "info",
            ok,
            &FailedReport {
                error: Failure::from(&error),
            },
        )?,
        Err(error) => write_line(out, &format_args!("info failed: {error}"))?,
    }
    Ok(Outcome::of(ok))
}

/// What keeps the other commands from making sense.
pub(super) fn problems(info: &DeviceInfo) -> Vec<String> {
    let mut problems = Vec::new();
    if Identification::decode(info.identification).is_none() {
        problems.push(format!(
            "{:#010x} does not identify an edu device (its lower half would be {:#06x})",
            info.identification,
            Identification::SIGNATURE
        ));
    }
    if info.abi_version != ABI_VERSION {
        problems.push(format!(
            "the driver speaks version {} of the request ABI, this eductl version {ABI_VERSION}",
            info.abi_version
        ));
    }
    problems
}

/// The driver's version, without a revision of 0.
fn driver_version(info: &DeviceInfo) -> String {
    match info.driver_version {
        [major, minor, build, 0] => format!("{major}.{minor}.{build}"),
        [major, minor, build, revision] => format!("{major}.{minor}.{build}.{revision}"),
    }
}

struct Text(DeviceInfo);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(info) = self;
        f.write_str("device: ")?;
        match Identification::decode(info.identification) {
            Some(edu) => write!(f, "edu, revision {}.{}", edu.major(), edu.minor())?,
            None => f.write_str("unknown")?,
        }
        writeln!(f, " (identification {:#010x})", info.identification)?;
        write!(
            f,
            "driver: customdpc {} (request ABI {})",
            driver_version(info),
            info.abi_version
        )?;
        for problem in problems(info) {
            write!(f, "\nproblem: {problem}")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Report {
    identification: u32,
    revision: Option<String>,
    driver_version: String,
    abi_version: u32,
    problems: Vec<String>,
}

impl From<&DeviceInfo> for Report {
    fn from(info: &DeviceInfo) -> Self {
        Self {
            identification: info.identification,
            revision: Identification::decode(info.identification).map(|edu| format!("{}.{}", edu.major(), edu.minor())),
            driver_version: driver_version(info),
            abi_version: info.abi_version,
            problems: problems(info),
        }
    }
}

#[derive(Serialize)]
struct FailedReport {
    error: Failure,
}

#[cfg(test)]
mod tests {
    use edu::ioctl::DeviceInfo;
    use serde_json::json;
    use zerocopy::IntoBytes;

    use crate::commands::Outcome;
    use crate::fake::{FakeDevice, run_json, run_text};
    use crate::status::DeviceError;

    const SOUND: DeviceInfo = DeviceInfo {
        abi_version: 3,
        identification: 0x0100_00ED,
        driver_version: [0, 1, 0, 0],
    };

    fn device_that_says(info: DeviceInfo) -> FakeDevice {
        FakeDevice::sound().answering(move |_| Some(Ok(info.as_bytes().to_vec())))
    }

    #[test]
    fn shows_revision_and_driver() {
        let (outcome, text) = run_text(&mut device_that_says(SOUND), &["info"]);
        assert_eq!(outcome, Outcome::Succeeded);
        assert_eq!(
            text,
            "device: edu, revision 1.0 (identification 0x010000ed)\n\
             driver: customdpc 0.1.0 (request ABI 3)\n"
        );
    }

    #[test]
    fn an_unknown_identification_is_shown_and_fails() {
        let unknown = DeviceInfo {
            identification: u32::MAX,
            ..SOUND
        };
        let (outcome, text) = run_text(&mut device_that_says(unknown), &["info"]);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(
            text,
            "device: unknown (identification 0xffffffff)\n\
             driver: customdpc 0.1.0 (request ABI 3)\n\
             problem: 0xffffffff does not identify an edu device (its lower half would be 0x00ed)\n"
        );
    }

    #[test]
    fn another_abi_is_shown_and_fails() {
        let newer = DeviceInfo {
            abi_version: 4,
            driver_version: [1, 2, 3, 4],
            ..SOUND
        };
        let (outcome, document) = run_json(&mut device_that_says(newer), &["info"]);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(
            document,
            json!({
                "command": "info",
                "ok": false,
                "identification": 0x0100_00ED,
                "revision": "1.0",
                "driver_version": "1.2.3.4",
                "abi_version": 4,
                "problems": ["the driver speaks version 4 of the request ABI, this eductl version 3"],
            })
        );
    }

    #[test]
    fn a_short_answer_is_refused() {
        let mut device = FakeDevice::sound().answering(|_| Some(Ok(vec![0; 15])));
        let (outcome, text) = run_text(&mut device, &["info"]);
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            text.starts_with("info failed: the driver answered 15 bytes instead of 16"),
            "{text}"
        );
    }

    #[test]
    fn a_failure_in_json_has_code_and_name() {
        let mut device = FakeDevice::sound().answering(|_| Some(Err(DeviceError::Win32(1167))));
        let (outcome, document) = run_json(&mut device, &["info"]);
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(document["ok"], false);
        assert_eq!(document["error"]["kind"], "win32");
        assert_eq!(document["error"]["code"], 1167);
        assert_eq!(document["error"]["name"], "ERROR_DEVICE_NOT_CONNECTED");
    }
}
