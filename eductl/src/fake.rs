//! A transport for unit tests: to a driver without faults, or with those that a test gives it. It remembers what was asked of it.

mod driver;

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Parser;
use edu::ioctl::ControlCode;
use zerocopy::FromBytes;

use self::driver::SoundDriver;
use crate::cli::Cli;
use crate::commands::Outcome;
use crate::status::DeviceError;
use crate::transport::{Completed, RequestId, Transport};

/// What a device-control request is completed with: its output, or how it failed.
pub(crate) type Answer = Result<Vec<u8>, DeviceError>;

/// What a read or a write is completed with.
pub(crate) type TransferAnswer = Result<Completed, DeviceError>;

type Complete = dyn Fn(&Submitted<'_>) -> Option<Answer>;
type CompleteTransfer = dyn Fn(&Transfer<'_>) -> Option<TransferAnswer>;
type Keep = dyn Fn(&Submitted<'_>) -> bool;
type Refuse = dyn Fn(&Submitted<'_>) -> Option<DeviceError>;

/// A read or a write as the fake device gets it.
pub(crate) enum Transfer<'a> {
    Read { offset: u64, len: usize },
    Write { offset: u64, data: &'a [u8] },
}

/// A device-control request as the fake device gets it.
pub(crate) struct Submitted<'a> {
    pub(crate) code: ControlCode,
    pub(crate) input: &'a [u8],
    pub(crate) output_len: usize,
}

impl Submitted<'_> {
    /// The input, when it is one 32-bit number.
    pub(crate) fn number(&self) -> Option<u32> {
        u32::read_from_bytes(self.input).ok()
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
    driver: SoundDriver,
    answers: Box<Complete>,
    transfers: Box<CompleteTransfer>,
    keeps: Box<Keep>,
    refuses: Box<Refuse>,
    /// Requests that nobody has waited for yet; those without an answer pend.
    under_way: BTreeMap<u64, Option<TransferAnswer>>,
    submitted: u64,
    pub(crate) calls: Vec<Call>,
}

impl FakeDevice {
    /// A device and a driver without faults.
    pub(crate) fn sound() -> Self {
        Self {
            driver: SoundDriver::default(),
            answers: Box::new(|_| None),
            transfers: Box::new(|_| None),
            keeps: Box::new(|_| false),
            refuses: Box::new(|_| None),
            under_way: BTreeMap::new(),
            submitted: 0,
            calls: Vec::new(),
        }
    }

    /// Completes those requests with something else for which `answers` has it; the driver does not see them.
    pub(crate) fn answering(self, answers: impl Fn(&Submitted<'_>) -> Option<Answer> + 'static) -> Self {
        Self {
            answers: Box::new(answers),
            ..self
        }
    }

    /// Completes those reads and writes with something else for which `transfers` has it; the driver does not see them.
    pub(crate) fn transferring(self, transfers: impl Fn(&Transfer<'_>) -> Option<TransferAnswer> + 'static) -> Self {
        Self {
            transfers: Box::new(transfers),
            ..self
        }
    }

    /// Has `data` at `offset` of its buffer.
    pub(crate) fn holding(mut self, offset: u64, data: &[u8]) -> Self {
        self.driver
            .transfer(&Transfer::Write { offset, data })
            .expect("it fits into the buffer");
        self
    }

    /// Has the driver take those requests that `keeps` says and do nothing with them: they end by being cancelled only.
    pub(crate) fn keeping(self, keeps: impl Fn(&Submitted<'_>) -> bool + 'static) -> Self {
        Self {
            keeps: Box::new(keeps),
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

    fn complete(&mut self, number: u64, answer: Answer) {
        if let Some(pending) = self.under_way.get_mut(&number) {
            *pending = Some(answer.map(Completed::with_output));
        }
    }

    fn begin(&mut self) -> u64 {
        let number = self.submitted;
        self.submitted += 1;
        self.calls.push(Call::Submit(number));
        self.under_way.insert(number, None);
        number
    }

    /// A read or a write, which is completed at once.
    fn transfer(&mut self, transfer: &Transfer<'_>) -> RequestId {
        let number = self.begin();
        let answer = (self.transfers)(transfer).unwrap_or_else(|| self.driver.transfer(transfer));
        self.under_way.insert(number, Some(answer));
        RequestId::new(number)
    }
}

impl Transport for FakeDevice {
    fn submit(&mut self, code: ControlCode, input: &[u8], output_len: usize) -> Result<RequestId, DeviceError> {
        let request = Submitted {
            code,
            input,
            output_len,
        };
        if let Some(error) = (self.refuses)(&request) {
            return Err(error);
        }
        let number = self.begin();
        let completed = match (self.answers)(&request) {
            Some(answer) => vec![(number, answer)],
            None if (self.keeps)(&request) => self.driver.keep(number),
            None => self.driver.submit(number, &request),
        };
        for (completed, answer) in completed {
            assert!(
                completed != number || answer.as_ref().map_or(0, Vec::len) <= output_len,
                "no driver can write past the output buffer"
            );
            self.complete(completed, answer);
        }
        Ok(RequestId::new(number))
    }

    fn submit_read(&mut self, offset: u64, len: usize) -> Result<RequestId, DeviceError> {
        Ok(self.transfer(&Transfer::Read { offset, len }))
    }

    fn submit_write(&mut self, offset: u64, data: &[u8]) -> Result<RequestId, DeviceError> {
        Ok(self.transfer(&Transfer::Write { offset, data }))
    }

    fn wait(&mut self, request: RequestId) -> TransferAnswer {
        self.calls.push(Call::Wait(request.number()));
        self.under_way
            .remove(&request.number())
            .expect("the request is under way")
            .expect("the request is completed: this would wait for ever")
    }

    fn cancel(&mut self, request: &RequestId) {
        self.calls.push(Call::Cancel(request.number()));
        if let Some(answer) = self.driver.cancel(request.number()) {
            self.complete(request.number(), answer);
        }
    }
}

/// A pipe whose reader goes away after a number of lines.
pub(crate) struct BrokenPipe {
    pub(crate) lines_left: usize,
}

impl Write for BrokenPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lines_left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if bytes.ends_with(b"\n") {
            self.lines_left -= 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
