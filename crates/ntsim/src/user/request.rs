//! A program's view of its requests.

use super::Buffer;
use crate::{
    bugcheck::Outcome,
    io::{irp::IoStatus, request},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// How a request ended, as the program sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The status.
    pub status: NtStatus,
    /// `IoStatus.Information`; 0 for a request that failed at once, of which the program learns the status alone.
    pub information: u64,
    /// The bytes of the program's output buffer that the request is said to have filled: none when it failed, or was given its
    /// buffers as addresses.
    pub output: Vec<u8>,
}

/// A request under way, or ended.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) inner: request::Request,
    /// Kept for the request: its input and its output or data.
    pub(super) input: Option<Buffer>,
    pub(super) buffer: Option<Buffer>,
    /// Whether `buffer` is for output.
    pub(super) output: bool,
}

impl Request {
    /// A request whose buffers are the program's own business.
    pub(super) const fn bare(inner: request::Request) -> Self {
        Self {
            inner,
            input: None,
            buffer: None,
            output: false,
        }
    }

    /// Its IRP, while and after it is under way; none when the system refused the request.
    #[must_use]
    pub fn irp(&self) -> Option<Va> {
        self.inner.irp()
    }

    /// The memory that was allocated for its input, if any.
    #[must_use]
    pub fn input(&self) -> Option<&Buffer> {
        self.input.as_ref()
    }

    /// The memory that was allocated for its output, or for the data of a write, if any. The program may change it while the request
    /// is under way.
    #[must_use]
    pub fn buffer(&self) -> Option<&Buffer> {
        self.buffer.as_ref()
    }

    /// What the system call returned: `STATUS_PENDING` when the request was under way still. That of a synchronous handle returns at its end.
    #[must_use]
    pub fn returned(&self) -> NtStatus {
        self.inner.returned()
    }

    /// What the system has put into the program's I/O status block (`OVERLAPPED.Internal` and `InternalHigh`): nothing while the request is
    /// under way, and nothing at all when it has failed at once.
    #[must_use]
    pub fn io_status_block(&self) -> Option<IoStatus> {
        self.inner.io_status_block()
    }

    /// How it ended, when it has, for a program that looks at what the call returned first, and at its I/O status block if that is no error.
    #[must_use]
    pub fn result(&self) -> Option<Completion> {
        let ended = self.inner.result()?;
        let output = self.buffer.as_ref().filter(|_| self.output && !ended.status.is_error());
        let output = output.map_or_else(Vec::new, |buffer| {
            let filled = usize::try_from(ended.information).unwrap_or(usize::MAX);
            buffer.read(0, filled.min(buffer.length()))
        });
        Some(Completion {
            status: ended.status,
            information: ended.information,
            output,
        })
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When the machine has stopped.
    ///
    /// # Panics
    /// Never: a request that was waited for has a result.
    pub async fn wait(&self, k: &Kernel) -> Outcome<Completion> {
        self.inner.wait(k).await?;
        Ok(self.result().expect("it has ended"))
    }
}
