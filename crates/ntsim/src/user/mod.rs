//! What programs do: find a device by its interface, open it by that or by name, send it requests, cancel them, close it.
//!
//! Programs are flows of threads in user mode; every call here is made from one, and goes through the I/O manager as the
//! system call of the same name does.

mod buffer;
mod event;
mod name;
mod request;

use std::rc::Rc;

pub use buffer::Buffer;
pub use event::Event;
pub use name::nt_path;
pub use request::{Completion, Request};

use crate::{
    bugcheck::Outcome,
    io::{control, file, open, request as io_request, transfer},
    kernel::Kernel,
    mm::Va,
    ob,
    sched::Mode,
    status::NtStatus,
};
pub use crate::{
    io::{
        device_interface::Guid,
        file::{FILE_APPEND_DATA, FILE_READ_DATA, FILE_WRITE_DATA},
        irp::IoStatus,
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

/// The links of all enabled device interfaces, in the order in which they were registered.
#[must_use]
pub fn enabled_interfaces(k: &Kernel) -> Vec<String> {
    let io = k.io().borrow();
    io.interfaces
        .all_enabled()
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

/// How a device is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The access rights asked for: `FILE_xxx` or `GENERIC_xxx`.
    pub rights: u32,
    /// Without `FILE_FLAG_OVERLAPPED`: each request is waited for.
    pub synchronous: bool,
}

/// An open device.
#[derive(Clone, Debug)]
pub struct Handle {
    file: Rc<file::File>,
    number: ob::handle::Handle,
}

impl Handle {
    /// `CreateFile` with `FILE_FLAG_OVERLAPPED` and the access rights `access`; the status of a refused open. For names, see [`nt_path`].
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn open(k: &Kernel, name: &str, access: u32) -> Outcome<Result<Self, NtStatus>> {
        let access = Access {
            rights: access,
            synchronous: false,
        };
        Self::open_with(k, name, access).await
    }

    /// `CreateFile`; the status of a refused open. For names, see [`nt_path`].
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn open_with(k: &Kernel, name: &str, access: Access) -> Outcome<Result<Self, NtStatus>> {
        let Some(path) = nt_path(name) else {
            return Ok(Err(NtStatus::OBJECT_NAME_INVALID));
        };
        let mut spec = open::Spec::existing(&path, access.rights, Mode::User);
        if access.synchronous {
            spec.options |= open::FILE_SYNCHRONOUS_IO_NONALERT;
            spec.access |= open::SYNCHRONIZE;
        }
        let file = match open::open(k, &spec).await? {
            Ok((file, _)) => file,
            Err(status) => return Ok(Err(status)),
        };
        file::handle_created(k, &file)?;
        let number = ob::handle::open_for_program(k, file.object(), access.rights);
        Ok(Ok(Self { file, number }))
    }

    /// The handle's value, as the program gives it to a driver.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.number.0
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
        let inner = self
            .send(k, control::device_io_control(k, &self.file, code, from, to))
            .await?;
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
        let inner = self
            .send(k, control::device_io_control(k, &self.file, code, input, output))
            .await?;
        Ok(Request::bare(inner))
    }

    /// `ReadFile` of `length` bytes into a buffer made for it: sends a request, which may still be under way when this returns.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn read_file(&self, k: &Kernel, length: usize, at: Position) -> Outcome<Request> {
        let buffer = (length != 0).then(|| Buffer::new(k, length));
        let inner = self
            .send(k, transfer::read_file(k, &self.file, range_of(buffer.as_ref()), at))
            .await?;
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
        let sent = self.send(k, transfer::read_file(k, &self.file, buffer, at)).await?;
        Ok(Request::bare(sent))
    }

    /// `WriteFile` of a buffer made for it: sends a request, which may still be under way when this returns.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn write_file(&self, k: &Kernel, data: &[u8], at: Position) -> Outcome<Request> {
        let buffer = (!data.is_empty()).then(|| Buffer::holding(k, data));
        let inner = self
            .send(k, transfer::write_file(k, &self.file, range_of(buffer.as_ref()), at))
            .await?;
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
        let sent = self.send(k, transfer::write_file(k, &self.file, buffer, at)).await?;
        Ok(Request::bare(sent))
    }

    /// Sends a request; a synchronous handle's one after the other, each waited for.
    async fn send(
        &self,
        k: &Kernel,
        request: impl Future<Output = Outcome<io_request::Request>>,
    ) -> Outcome<io_request::Request> {
        if !self.file.is_synchronous() {
            return request.await;
        }
        self.file.lock(k).await?;
        let sent = request.await?;
        sent.wait(k).await?;
        self.file.unlock(k);
        Ok(sent)
    }

    /// `CancelIoEx`: cancels `request`, or everything that was sent by this handle. `STATUS_NOT_FOUND` when nothing is under
    /// way.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn cancel_io(&self, k: &Kernel, request: Option<&Request>) -> Outcome<NtStatus> {
        let request = request.map(|request| &request.inner);
        io_request::cancel_io(k, &self.file, request).await
    }

    /// `CloseHandle`.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn close(self, k: &Kernel) -> Outcome<()> {
        ob::handle::close_for_program(k, self.number).await.map(|_| ())
    }
}

fn range_of(buffer: Option<&Buffer>) -> UserRange {
    buffer.map_or(UserRange::NONE, Buffer::range)
}
