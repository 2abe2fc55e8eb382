//! An open edu device.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use edu::ioctl::ControlCode;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::IO::CancelIoEx;

use super::event::Event;
use super::in_flight::InFlight;
use super::{OpenError, StopSignal, interfaces};
use crate::discovery::{InterfacePath, choose};
use crate::status::DeviceError;
use crate::transport::{Completed, RequestId, Transport};

/// A device opened for overlapped I/O. Dropping it cancels what is under way and waits until that has ended.
pub struct OverlappedDevice {
    handle: OwnedHandle,
    stop: StopSignal,
    stopped: bool,
    under_way: BTreeMap<u64, InFlight>,
    next_number: u64,
}

impl OverlappedDevice {
    /// Opens the device that is `wanted` (see [`choose`]); everything is cancelled when `stop` is set.
    ///
    /// # Errors
    /// There is no such device, or it could not be opened.
    pub fn open(wanted: Option<usize>, stop: StopSignal) -> Result<Self, OpenError> {
        let path = choose(interfaces::present()?, wanted)?;
        Ok(Self::over(open(path)?, stop))
    }

    /// A transport over a handle that was opened for overlapped I/O.
    fn over(handle: OwnedHandle, stop: StopSignal) -> Self {
        Self {
            handle,
            stop,
            stopped: false,
            under_way: BTreeMap::new(),
            next_number: 0,
        }
    }

    fn add(&mut self, request: InFlight) -> RequestId {
        let number = self.next_number;
        self.next_number += 1;
        self.under_way.insert(number, request);
        RequestId::new(number)
    }

    /// Cancels every request under way on this handle.
    fn cancel_all(&self) {
        // SAFETY: the handle is open; null stands for all of its requests. That there are none is no failure.
        unsafe { CancelIoEx(self.handle.as_raw_handle(), ptr::null()) };
    }

    fn handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

fn open(path: InterfacePath) -> Result<OwnedHandle, OpenError> {
    // The access that the requests' control codes ask for; other programs may have the device open, too.
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .open(OsString::from_wide(path.as_wide()))
        .map(OwnedHandle::from)
        .map_err(|error| {
            let error = DeviceError::Win32(error.raw_os_error().map_or(0, i32::cast_unsigned));
            OpenError::Open { path, error }
        })
}

impl Transport for OverlappedDevice {
    fn submit(&mut self, code: ControlCode, input: &[u8], output_len: usize) -> Result<RequestId, DeviceError> {
        let request = InFlight::device_control(self.handle(), code, input, output_len)?;
        Ok(self.add(request))
    }

    fn submit_read(&mut self, offset: u64, len: usize) -> Result<RequestId, DeviceError> {
        let request = InFlight::read(self.handle(), offset, len)?;
        Ok(self.add(request))
    }

    fn submit_write(&mut self, offset: u64, data: &[u8]) -> Result<RequestId, DeviceError> {
        let request = InFlight::write(self.handle(), offset, data)?;
        Ok(self.add(request))
    }

    fn wait(&mut self, request: RequestId) -> Result<Completed, DeviceError> {
        let request = self
            .under_way
            .remove(&request.number())
            .expect("the request is one of this transport's");
        // When this wait fails, the one in `finish` is left, which Ctrl-C does not end.
        if !self.stopped && matches!(Event::wait_either(request.completed(), self.stop.event()), Ok(false)) {
            self.stopped = true;
            self.cancel_all();
        }
        request.finish(self.handle())
    }

    fn cancel(&mut self, request: &RequestId) {
        if let Some(request) = self.under_way.get(&request.number()) {
            request.cancel(self.handle());
        }
    }
}

impl Drop for OverlappedDevice {
    fn drop(&mut self) {
        self.cancel_all();
        while let Some((_, request)) = self.under_way.pop_first() {
            // How it ended is of no interest to anyone any more.
            let _ = request.finish(self.handle());
        }
    }
}

#[cfg(test)]
mod tests;
