//! How requests reach a driver.

use edu::ioctl::ControlCode;

use crate::status::DeviceError;

/// An open handle to a device, with any number of requests under way.
///
/// Submitting starts a request and does not wait for it. Whether time passes between the calls is up to the transport: on
/// Windows it does; a simulated machine may run only while it is waited for. Dropping a transport cancels what is under way.
pub trait Transport {
    /// Starts a device-control request with `input`, and room for `output_len` bytes of output.
    ///
    /// # Errors
    /// The request was refused at once. Nothing is under way then.
    fn submit(&mut self, code: ControlCode, input: &[u8], output_len: usize) -> Result<RequestId, DeviceError>;

    /// Starts to read up to `len` bytes at the byte offset `offset` of the device's buffer (`ReadFile`).
    ///
    /// # Errors
    /// The request was refused at once. Nothing is under way then.
    fn submit_read(&mut self, offset: u64, len: usize) -> Result<RequestId, DeviceError>;

    /// Starts to write `data` at the byte offset `offset` of the device's buffer (`WriteFile`).
    ///
    /// # Errors
    /// The request was refused at once. Nothing is under way then.
    fn submit_write(&mut self, offset: u64, data: &[u8]) -> Result<RequestId, DeviceError>;

    /// Waits until the request is completed and returns what it brought.
    ///
    /// # Errors
    /// How the driver, or the system on its behalf, failed the request.
    ///
    /// # Panics
    /// May panic when `request` comes from another transport.
    fn wait(&mut self, request: RequestId) -> Result<Completed, DeviceError>;

    /// Asks for the request to be cancelled. It still has to be waited for, and may succeed all the same.
    fn cancel(&mut self, request: &RequestId);
}

/// What a successful request brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// How many bytes the driver says that it has transferred.
    pub transferred: usize,
    /// These bytes; none after a write.
    pub output: Vec<u8>,
}

impl Completed {
    /// Of a device-control request or a read.
    #[must_use]
    pub fn with_output(output: Vec<u8>) -> Self {
        Self {
            transferred: output.len(),
            output,
        }
    }

    /// Of a write.
    #[must_use]
    pub const fn written(transferred: usize) -> Self {
        Self {
            transferred,
            output: Vec::new(),
        }
    }
}

/// A request under way. It cannot be copied: each is waited for once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request that is not waited for stays under way until the transport is dropped"]
pub struct RequestId(u64);

impl RequestId {
    /// For transports: the name of a request of theirs, to be given once only.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number that it was made from.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0
    }
}
