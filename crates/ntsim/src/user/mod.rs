//! What programs do: find a device by its interface, open it, send it requests, cancel them, close it.
//!
//! Programs are flows of threads in user mode; every call here is made from one, and goes through the I/O manager as the
//! system call of the same name does.

mod buffer;
mod request;

use std::rc::Rc;

pub use buffer::Buffer;
pub use request::{Completion, Request};

use crate::{
    bugcheck::Outcome,
    io::{control, file, request as io_request, transfer},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};
pub use crate::{
    io::{
        device_interface::Guid,
        file::{FILE_APPEND_DATA, FILE_READ_DATA, FILE_WRITE_DATA},
        transfer::Position,
    },
    mm::UserRange,
};

/// The links of the enabled devices of an interface class: `CM_Get_Device_Interface_List`.
#[must_use]
pub fn device_interfaces(k: &Kernel, class: Guid) -> Vec<String> {
    let io = k.io().borrow();
    io.interfaces
        .enabled(class)
        .map(|interface| interface.link.clone())
        .collect()
}

/// The links of the enabled interfaces of a class that one device has, which is named by its physical device object.
#[must_use]
pub fn interfaces_of_device(k: &Kernel, class: Guid, pdo: Va) -> Vec<String> {
    let io = k.io().borrow();
    io.interfaces
        .enabled(class)
        .filter(|interface| interface.pdo == pdo)
        .map(|interface| interface.link.clone())
        .collect()
}

/// An open device: a handle opened with `FILE_FLAG_OVERLAPPED`.
#[derive(Clone, Debug)]
pub struct Handle(Rc<file::File>);

impl Handle {
    /// `CreateFile` of a device interface's link with the access rights `access`; the status of a refused open.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn open(k: &Kernel, link: &str, access: u32) -> Outcome<Result<Self, NtStatus>> {
        Ok(file::open(k, link, access).await?.map(Self))
    }

    /// `DeviceIoControl` with buffers made for it: sends a request, which may still be under way when this returns.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn device_io_control(
        &self,
        k: &Kernel,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Outcome<Request> {
        let input = (!input.is_empty()).then(|| Buffer::holding(k, input));
        let output = (output_length != 0).then(|| Buffer::new(k, output_length));
        let [from, to] = [&input, &output].map(|buffer| range_of(buffer.as_ref()));
        let inner = control::device_io_control(k, &self.0, code, from, to).await?;
        Ok(Request {
            inner,
            input,
            buffer: output,
            output: true,
        })
    }

    /// `DeviceIoControl` with any buffers, or what is said to be some.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn device_io_control_with(
        &self,
        k: &Kernel,
        code: u32,
        input: UserRange,
        output: UserRange,
    ) -> Outcome<Request> {
        let inner = control::device_io_control(k, &self.0, code, input, output).await?;
        Ok(Request::bare(inner))
    }

    /// `ReadFile` of `length` bytes into a buffer made for it: sends a request, which may still be under way when this returns.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn read_file(&self, k: &Kernel, length: usize, at: Position) -> Outcome<Request> {
        let buffer = (length != 0).then(|| Buffer::new(k, length));
        let inner = transfer::read_file(k, &self.0, range_of(buffer.as_ref()), at).await?;
        Ok(Request {
            inner,
            input: None,
            buffer,
            output: true,
        })
    }

    /// `ReadFile` into any buffer, or what is said to be one.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn read_file_into(&self, k: &Kernel, buffer: UserRange, at: Position) -> Outcome<Request> {
        Ok(Request::bare(transfer::read_file(k, &self.0, buffer, at).await?))
    }

    /// `WriteFile` of a buffer made for it: sends a request, which may still be under way when this returns.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn write_file(&self, k: &Kernel, data: &[u8], at: Position) -> Outcome<Request> {
        let buffer = (!data.is_empty()).then(|| Buffer::holding(k, data));
        let inner = transfer::write_file(k, &self.0, range_of(buffer.as_ref()), at).await?;
        Ok(Request {
            inner,
            input: None,
            buffer,
            output: false,
        })
    }

    /// `WriteFile` from any buffer, or what is said to be one.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn write_file_from(&self, k: &Kernel, buffer: UserRange, at: Position) -> Outcome<Request> {
        Ok(Request::bare(transfer::write_file(k, &self.0, buffer, at).await?))
    }

    /// `CancelIoEx`: cancels `request`, or everything that was sent by this handle. `STATUS_NOT_FOUND` when nothing is under
    /// way.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn cancel_io(&self, k: &Kernel, request: Option<&Request>) -> Outcome<NtStatus> {
        let request = request.map(|request| &request.inner);
        io_request::cancel_io(k, &self.0, request).await
    }

    /// `CloseHandle`.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn close(self, k: &Kernel) -> Outcome<()> {
        file::close(k, &self.0).await
    }
}

fn range_of(buffer: Option<&Buffer>) -> UserRange {
    buffer.map_or(UserRange::NONE, Buffer::range)
}
