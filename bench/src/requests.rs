//! The kinds of requests, and how a program sends one.

use edu::{
    dma::BUFFER_USABLE,
    ioctl::{Liveness, LivenessInput, QueryInfo},
};
use ntsim::{NtStatus, Outcome, user::Request};
use scenarios::program::{Program, arrival};

/// Bytes of a transfer that the device makes by one DMA command.
const PIECE: usize = BUFFER_USABLE;

/// The interrupt cause that requests raise and wait for.
pub const CAUSE: u32 = 0x0000_0002;
/// An interrupt cause that nobody raises.
pub const OTHER_CAUSE: u32 = 0x0000_0004;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `IOCTL_EDU_QUERY_INFO`.
    QueryInfo,
    /// `IOCTL_EDU_LIVENESS`.
    Liveness,
    /// `IOCTL_EDU_FACTORIAL`.
    Factorial,
    /// `IOCTL_EDU_RAISE_INTERRUPT`, and nobody waits.
    Raise,
    /// `IOCTL_EDU_WAIT_INTERRUPT`, and an `IOCTL_EDU_RAISE_INTERRUPT` that ends it.
    RaiseAndWait,
    /// `WriteFile` of as much as the device moves at once.
    Write,
    /// `ReadFile` of as much as the device moves at once.
    Read,
    /// `IOCTL_EDU_DMA_ECHO`: into the device and back, eight times.
    Echo,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::QueryInfo,
        Self::Liveness,
        Self::Factorial,
        Self::Raise,
        Self::RaiseAndWait,
        Self::Write,
        Self::Read,
        Self::Echo,
    ];

    /// What the row is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueryInfo => "QUERY_INFO",
            Self::Liveness => "LIVENESS",
            Self::Factorial => "FACTORIAL",
            Self::Raise => "RAISE",
            Self::RaiseAndWait => "RAISE + WAIT",
            Self::Write => "write, one piece",
            Self::Read => "read, one piece",
            Self::Echo => "echo, 16 pieces",
        }
    }

    /// Sends it; the requests that are under way then.
    pub async fn send(self, program: &Program) -> Outcome<Vec<Request>> {
        Ok(match self {
            Self::QueryInfo => {
                let _ = program.request::<QueryInfo>(()).await?;
                Vec::new()
            }
            Self::Liveness => {
                let input = LivenessInput { value: 0x1234_5678 };
                let _ = program.request::<Liveness>(input).await?;
                Vec::new()
            }
            Self::Factorial => vec![program.factorial(5).await?.request],
            Self::Raise => vec![program.raise(CAUSE).await?],
            Self::RaiseAndWait => {
                let wait = program.wait_interrupt(CAUSE).await?;
                vec![wait, program.raise(CAUSE).await?]
            }
            Self::Write => vec![program.write(0, &[0x5A; PIECE]).await?],
            Self::Read => vec![program.read(0, PIECE).await?],
            Self::Echo => vec![program.echo(&[0xA5; 8 * PIECE]).await?],
        })
    }

    /// Sends it, and waits until it has succeeded.
    pub async fn carry_out(self, program: &Program) -> Outcome<()> {
        let requests = self.send(program).await?;
        succeed(program, &requests).await
    }
}

/// Waits for requests, which must succeed.
///
/// # Panics
/// When one fails.
pub async fn succeed(program: &Program, requests: &[Request]) -> Outcome<()> {
    for request in requests {
        let done = request.wait(&program.pc.k).await?;
        assert_eq!(done.status, NtStatus::SUCCESS, "the request failed");
    }
    Ok(())
}

/// Waits for waits for [`CAUSE`], which must end by it.
///
/// # Panics
/// When one fails, or was told of another cause.
pub async fn arrive(program: &Program, waits: &[Request]) -> Outcome<()> {
    for wait in waits {
        let done = wait.wait(&program.pc.k).await?;
        assert_eq!(arrival(&done).causes, CAUSE);
    }
    Ok(())
}
