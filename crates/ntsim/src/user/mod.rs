//! What programs do: find a device by its interface, open it, send it requests, cancel them, close it.
//!
//! Programs are flows of threads in user mode; every call here is made from one, and goes through the I/O manager as the
//! system call of the same name does.

use std::rc::Rc;

pub use crate::io::{
    control::{Completion, Request},
    device_interface::Guid,
    file::{FILE_READ_DATA, FILE_WRITE_DATA},
};
use crate::{
    bugcheck::Outcome,
    io::{control, file},
    kernel::Kernel,
    status::NtStatus,
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

    /// `DeviceIoControl`: sends a request, which may still be under way when this returns.
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
        control::device_io_control(k, &self.0, code, input, output_length).await
    }

    /// `CancelIoEx`: cancels `request`, or everything that was sent by this handle. `STATUS_NOT_FOUND` when nothing is under
    /// way.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn cancel_io(&self, k: &Kernel, request: Option<&Request>) -> Outcome<NtStatus> {
        control::cancel_io(k, &self.0, request).await
    }

    /// `CloseHandle`.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub async fn close(self, k: &Kernel) -> Outcome<()> {
        file::close(k, &self.0).await
    }
}
