//! The requests, and what they answer when nothing goes wrong.

use edu::ioctl::{
    DeviceInfo, Liveness, LivenessInput, LivenessOutput, QueryInfo, QueryStatistics, Request as _, ResetStatistics,
    Statistics, WaitOutput,
};
use ntsim::{
    NtStatus, Outcome,
    user::{Completion, Request},
};
use scenarios::{boot::Pc, program::Program};
use zerocopy::{FromBytes, IntoBytes};

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Raise,
    Factorial,
    Echo,
    Read,
    Write,
    Wait,
    QueryInfo,
    Liveness,
    QueryStatistics,
    ResetStatistics,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// The device: it has a queue, and the device works for one at a time.
    Device,
    /// An interrupt that somebody else causes.
    Doorbell,
    /// Nothing, but a device that is stopped or asleep.
    Held,
    /// Nothing at all.
    Immediate,
}

/// What is raised, and waited for.
const CAUSE: u32 = 0x40;
/// Twelve factorial, which fits 32 bits.
const N: u32 = 12;
const N_FACTORIAL: u32 = 479_001_600;
/// More than one piece, so that there is something between two.
const ECHO: usize = 5000;
/// Where reads and writes begin, and how long they are.
const OFFSET: i64 = 100;
const LENGTH: usize = 300;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Raise,
        Self::Factorial,
        Self::Echo,
        Self::Read,
        Self::Write,
        Self::Wait,
        Self::QueryInfo,
        Self::Liveness,
        Self::QueryStatistics,
        Self::ResetStatistics,
    ];

    /// What it waits for.
    pub const fn nature(self) -> Nature {
        match self {
            Self::Raise | Self::Factorial | Self::Echo | Self::Read | Self::Write => Nature::Device,
            Self::Wait => Nature::Doorbell,
            Self::Liveness => Nature::Held,
            Self::QueryInfo | Self::QueryStatistics | Self::ResetStatistics => Nature::Immediate,
        }
    }

    /// Sends one.
    pub async fn send(self, program: &Program) -> Outcome<Request> {
        match self {
            Self::Raise => program.raise(CAUSE).await,
            Self::Factorial => Ok(program.factorial(N).await?.request),
            Self::Echo => program.echo(&pattern(ECHO)).await,
            Self::Read => program.read(OFFSET, LENGTH).await,
            Self::Write => program.write(OFFSET, &pattern(LENGTH)).await,
            Self::Wait => program.wait_interrupt(CAUSE).await,
            Self::QueryInfo => program.send(QueryInfo::CODE.raw(), &[], size_of::<DeviceInfo>()).await,
            Self::Liveness => {
                let input = LivenessInput { value: 0x1234_5678 };
                program
                    .send(Liveness::CODE.raw(), input.as_bytes(), size_of::<LivenessOutput>())
                    .await
            }
            Self::QueryStatistics => {
                program
                    .send(QueryStatistics::CODE.raw(), &[], size_of::<Statistics>())
                    .await
            }
            Self::ResetStatistics => program.send(ResetStatistics::CODE.raw(), &[], 0).await,
        }
    }

    /// Has happen what it waits for, if that is somebody else's doing.
    pub fn provoke(self, pc: &Pc) {
        if self == Self::Wait {
            pc.with_device(|device| device.raise(CAUSE));
        }
    }

    /// It has succeeded, with the right answer.
    pub fn check_answer(self, done: &Completion) {
        assert_eq!(done.status, NtStatus::SUCCESS, "{self:?}");
        let output = done.output.as_slice();
        let expected_information = match self {
            Self::Write => LENGTH,
            _ => output.len(),
        };
        assert_eq!(done.information, expected_information as u64, "{self:?}");
        match self {
            Self::Raise | Self::Write | Self::ResetStatistics => assert!(output.is_empty(), "{self:?}"),
            Self::Factorial => assert_eq!(output, N_FACTORIAL.to_le_bytes()),
            Self::Echo => assert!(output == pattern(ECHO), "the echo differs"),
            Self::Read => assert_eq!(output.len(), LENGTH),
            Self::Wait => {
                let arrival = WaitOutput::read_from_bytes(output).expect("the answer is as long as it must be");
                assert_eq!(arrival.causes, CAUSE);
            }
            Self::QueryInfo => {
                let info = DeviceInfo::read_from_bytes(output).expect("the answer is as long as it must be");
                assert_eq!(info.identification, 0x0100_00ED);
            }
            Self::Liveness => assert_eq!(output, (!0x1234_5678_u32).to_le_bytes()),
            Self::QueryStatistics => assert_eq!(output.len(), size_of::<Statistics>()),
        }
    }
}

/// Bytes of which no two neighbours are the same.
fn pattern(length: usize) -> Vec<u8> {
    (1..=251).cycle().take(length).collect()
}

/// It has failed with `status`, and brings nothing.
pub fn check_failure(kind: Kind, done: &Completion, status: NtStatus) {
    assert_eq!(done.status, status, "{kind:?}");
    assert_eq!(done.information, 0, "{kind:?}");
    assert!(done.output.is_empty(), "{kind:?}");
}
