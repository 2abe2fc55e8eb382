//! A transport for unit tests: answers from a closure, and remembers what was asked of it.

use std::collections::BTreeMap;

use clap::Parser;
use edu::ioctl::{
    ABI_VERSION, ControlCode, DeviceInfo, FactorialInput, IOCTL_EDU_FACTORIAL, IOCTL_EDU_LIVENESS,
    IOCTL_EDU_QUERY_INFO, LivenessInput,
};
use edu::registers::Identification;
use zerocopy::{FromBytes, IntoBytes};

use crate::cli::Cli;
use crate::commands::Outcome;
use crate::status::DeviceError;
use crate::transport::{RequestId, Transport};

/// What a request is completed with.
pub(crate) type Answer = Result<Vec<u8>, DeviceError>;

type Complete = dyn Fn(&Submitted<'_>) -> Answer;
type Refuse = dyn Fn(&Submitted<'_>) -> Option<DeviceError>;

/// A request as the fake device gets it.
pub(crate) struct Submitted<'a> {
    pub(crate) code: ControlCode,
    pub(crate) input: &'a [u8],
}

impl Submitted<'_> {
    /// The input, when it is one 32-bit number.
    pub(crate) fn number(&self) -> u32 {
        u32::read_from_bytes(self.input).expect("the input is 4 bytes long")
    }
}

/// A call to the transport; requests are numbered from 0 in the order in which they were submitted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Submit(u64),
    Wait(u64),
    Cancel(u64),
}

pub(crate) struct FakeDevice {
    answer: Box<Complete>,
    refuses: Box<Refuse>,
    under_way: BTreeMap<u64, Answer>,
    submitted: u64,
    pub(crate) calls: Vec<Call>,
}

impl FakeDevice {
    /// A device and a driver without faults.
    pub(crate) fn sound() -> Self {
        Self {
            answer: Box::new(sound_answer),
            refuses: Box::new(|_| None),
            under_way: BTreeMap::new(),
            submitted: 0,
            calls: Vec::new(),
        }
    }

    /// Completes requests with `answer` instead.
    pub(crate) fn answering(self, answer: impl Fn(&Submitted<'_>) -> Answer + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            ..self
        }
    }

    /// Refuses those requests at once for which `refuses` has an error.
    pub(crate) fn refusing(self, refuses: impl Fn(&Submitted<'_>) -> Option<DeviceError> + 'static) -> Self {
        Self {
            refuses: Box::new(refuses),
            ..self
        }
    }

    /// Whether every request that was started was waited for.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }
}

impl Transport for FakeDevice {
    fn submit(&mut self, code: ControlCode, input: &[u8], output_len: usize) -> Result<RequestId, DeviceError> {
        let request = Submitted { code, input };
        if let Some(error) = (self.refuses)(&request) {
            return Err(error);
        }
        let answer = (self.answer)(&request);
        assert!(
            answer.as_ref().map_or(0, Vec::len) <= output_len,
            "no driver can write past the output buffer"
        );
        let number = self.submitted;
        self.submitted += 1;
        self.under_way.insert(number, answer);
        self.calls.push(Call::Submit(number));
        Ok(RequestId::new(number))
    }

    fn wait(&mut self, request: RequestId) -> Answer {
        self.calls.push(Call::Wait(request.number()));
        self.under_way
            .remove(&request.number())
            .expect("the request is under way")
    }

    fn cancel(&mut self, request: &RequestId) {
        self.calls.push(Call::Cancel(request.number()));
    }
}

/// What a driver without faults answers for a device without faults.
pub(crate) fn sound_answer(request: &Submitted<'_>) -> Answer {
    let answer = match request.code {
        IOCTL_EDU_QUERY_INFO => DeviceInfo {
            abi_version: ABI_VERSION,
            identification: Identification::new(1, 0).bits(),
            driver_version: edu::VERSION,
        }
        .as_bytes()
        .to_vec(),
        IOCTL_EDU_LIVENESS => LivenessInput {
            value: request.number(),
        }
        .expected()
        .as_bytes()
        .to_vec(),
        IOCTL_EDU_FACTORIAL => FactorialInput { n: request.number() }.expected().as_bytes().to_vec(),
        _ => return Err(DeviceError::NtStatus(0xC000_0010)),
    };
    Ok(answer)
}

/// The command line of `arguments`, without the program's name.
pub(crate) fn parse(arguments: &[&str]) -> Cli {
    Cli::try_parse_from(["eductl"].iter().chain(arguments)).expect("the command line is right")
}

/// Runs a command and returns what it printed.
pub(crate) fn run_text(device: &mut FakeDevice, arguments: &[&str]) -> (Outcome, String) {
    let mut out = Vec::new();
    let outcome = crate::run(&parse(arguments), device, &mut out).expect("a vector takes everything");
    (outcome, String::from_utf8(out).expect("output is UTF-8"))
}

/// Runs a command with `--json` and returns the document.
pub(crate) fn run_json(device: &mut FakeDevice, arguments: &[&str]) -> (Outcome, serde_json::Value) {
    let (outcome, text) = run_text(device, &[arguments, &["--json"]].concat());
    (
        outcome,
        serde_json::from_str(&text).expect("the output is one JSON document"),
    )
}
