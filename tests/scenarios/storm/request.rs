//! What programs ask for in a storm, and what is a right answer.
//!
//! Whatever is written to the device's buffer says in each byte where it is: so a read can be checked, whoever has written what before.

use edu::{
    dma::BUFFER_USABLE,
    ioctl::{
        DeviceInfo, FactorialInput, FactorialOutput, Liveness, LivenessInput, LivenessOutput, QueryInfo, Request as _,
        WaitOutput,
    },
};
use ntsim::{
    Outcome,
    sched::Random,
    user::{Completion, Request},
};
use scenarios::program::Program;
use zerocopy::{FromBytes, IntoBytes};

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Factorial { n: u32 },
    Raise { causes: u32 },
    Wait { mask: u32 },
    Echo { length: usize, tag: u8 },
    Read { offset: usize, length: usize },
    Write { offset: usize, length: usize, tag: u8 },
    Liveness { value: u32 },
    QueryInfo,
}

/// The queue that a request goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    Raise,
    Compute,
    Transfer,
    Doorbell,
    /// None that is counted.
    None,
}

/// The period of the pattern. Pieces begin at multiples of it, so that an echo's bytes are right wherever they lie in the device.
pub const PERIOD: usize = 15;

/// The byte at `position`: where it is, and who has written it.
fn byte(position: usize, tag: u8) -> u8 {
    let place = u8::try_from(position % PERIOD).expect("below 15") + 1;
    tag << 4 | place
}

fn pattern(offset: usize, length: usize, tag: u8) -> Vec<u8> {
    (offset..offset + length).map(|position| byte(position, tag)).collect()
}

/// A cause that software raises.
fn cause(dice: &mut Random) -> u32 {
    1 << dice.between(1, 5)
}

impl Ask {
    /// Any.
    pub fn draw(dice: &mut Random) -> Self {
        let number = |dice: &mut Random, low: usize, high: usize| {
            usize::try_from(dice.between(low as u64, high as u64)).expect("in the device's buffer")
        };
        let tag = u8::try_from(dice.below(16)).expect("below 16");
        let at = |dice: &mut Random| {
            let offset = number(dice, 0, BUFFER_USABLE - 1);
            (offset, number(dice, 1, BUFFER_USABLE - offset))
        };
        match dice.below(16) {
            0..4 => Self::Factorial {
                n: u32::try_from(dice.below(34)).expect("below 34"),
            },
            4..6 => Self::Raise {
                causes: cause(dice) | cause(dice),
            },
            6..8 => Self::Wait { mask: cause(dice) },
            8..10 => Self::Echo {
                length: number(dice, 1, 2 * BUFFER_USABLE + 100),
                tag,
            },
            10..12 => {
                let (offset, length) = at(dice);
                Self::Read { offset, length }
            }
            12..14 => {
                let (offset, length) = at(dice);
                Self::Write { offset, length, tag }
            }
            14 => Self::Liveness {
                value: u32::try_from(dice.below(1 << 32)).expect("32 bits"),
            },
            _ => Self::QueryInfo,
        }
    }

    /// Where it waits.
    pub const fn queue(self) -> Queue {
        match self {
            Self::Raise { .. } => Queue::Raise,
            Self::Factorial { .. } => Queue::Compute,
            Self::Echo { .. } | Self::Read { .. } | Self::Write { .. } => Queue::Transfer,
            Self::Wait { .. } => Queue::Doorbell,
            Self::Liveness { .. } | Self::QueryInfo => Queue::None,
        }
    }

    /// Sends it.
    pub async fn send(self, program: &Program) -> Outcome<Request> {
        let at = |offset| i64::try_from(offset).expect("in the device's buffer");
        match self {
            Self::Factorial { n } => Ok(program.factorial(n).await?.request),
            Self::Raise { causes } => program.raise(causes).await,
            Self::Wait { mask } => program.wait_interrupt(mask).await,
            Self::Echo { length, tag } => program.echo(&pattern(0, length, tag)).await,
            Self::Read { offset, length } => program.read(at(offset), length).await,
            Self::Write { offset, length, tag } => program.write(at(offset), &pattern(offset, length, tag)).await,
            Self::Liveness { value } => {
                let input = LivenessInput { value };
                program
                    .send(Liveness::CODE.raw(), input.as_bytes(), size_of::<LivenessOutput>())
                    .await
            }
            Self::QueryInfo => program.send(QueryInfo::CODE.raw(), &[], size_of::<DeviceInfo>()).await,
        }
    }

    /// It has succeeded, and this is what it has brought.
    pub fn check_answer(self, done: &Completion) {
        let output = done.output.as_slice();
        let information = match self {
            Self::Write { length, .. } => length,
            _ => output.len(),
        };
        assert_eq!(done.information, information as u64, "{self:?}");
        match self {
            Self::Factorial { n } => assert_eq!(output, factorial(n), "{self:?}"),
            Self::Raise { .. } | Self::Write { .. } => assert!(output.is_empty(), "{self:?}"),
            Self::Wait { mask } => {
                let arrival = WaitOutput::read_from_bytes(output).expect("the answer is as long as it must be");
                assert!(
                    arrival.causes & mask != 0,
                    "{self:?} ends with causes {:#x}",
                    arrival.causes
                );
            }
            Self::Echo { length, tag } => assert!(output == pattern(0, length, tag), "{self:?} came back changed"),
            Self::Read { offset, length } => {
                assert_eq!(output.len(), length, "{self:?}");
                for (position, &found) in (offset..).zip(output) {
                    // Or nobody has written there since the device was reset.
                    let right = found == 0 || found & 0xF == byte(position, 0);
                    assert!(right, "{self:?} brings {found:#x} from {position}");
                }
            }
            Self::Liveness { value } => assert_eq!(output, (!value).to_le_bytes(), "{self:?}"),
            Self::QueryInfo => {
                let info = DeviceInfo::read_from_bytes(output).expect("the answer is as long as it must be");
                assert_eq!(info.identification, 0x0100_00ED);
            }
        }
    }
}

fn factorial(n: u32) -> [u8; size_of::<FactorialOutput>()] {
    let mut bytes = [0; size_of::<FactorialOutput>()];
    bytes.copy_from_slice(FactorialInput { n }.expected().as_bytes());
    bytes
}
