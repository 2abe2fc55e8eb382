//! A request under way, and the memory that belongs to the kernel for that time.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::{self, NonNull};

use edu::ioctl::ControlCode;
use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, FALSE, STATUS_PENDING, TRUE};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{
    CancelIoEx, DeviceIoControl, GetOverlappedResult, OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0,
};
use windows_sys::core::BOOL;

use super::event::Event;
use super::last_error;
use crate::status::DeviceError;
use crate::transport::Completed;

/// A request under way.
///
/// It has no `Drop`: dropped before [`finish`](Self::finish) it leaks its memory, into which the kernel may still write.
pub(super) struct InFlight {
    shared: NonNull<Shared>,
    event: Event,
}

/// What the kernel reads and writes until the request is completed. It neither moves nor is borrowed for that time.
struct Shared {
    overlapped: OVERLAPPED,
    /// What the request fills.
    output: Vec<u8>,
    /// What it sends.
    input: Vec<u8>,
}

/// What a request is started with.
struct Buffers {
    overlapped: *mut OVERLAPPED,
    input: *const u8,
    output: *mut u8,
}

impl InFlight {
    /// Sends a device-control request to `device`, which must have been opened for overlapped I/O.
    ///
    /// # Errors
    /// The request was refused at once; nothing is under way.
    pub(super) fn device_control(
        device: BorrowedHandle<'_>,
        code: ControlCode,
        input: &[u8],
        output_len: usize,
    ) -> Result<Self, DeviceError> {
        let (input_len, length) = (length(input.len())?, length(output_len)?);
        Self::start(0, input.to_vec(), vec![0; output_len], |buffers| {
            // SAFETY: `device` is an open handle. The buffers have the lengths given; `start` sees that they and the structure last.
            unsafe {
                DeviceIoControl(
                    device.as_raw_handle(),
                    code.raw(),
                    buffers.input.cast(),
                    input_len,
                    buffers.output.cast(),
                    length,
                    ptr::null_mut(),
                    buffers.overlapped,
                )
            }
        })
    }

    /// Reads up to `len` bytes at `offset` from `device`, which must have been opened for overlapped I/O.
    ///
    /// # Errors
    /// The request was refused at once; nothing is under way.
    pub(super) fn read(device: BorrowedHandle<'_>, offset: u64, len: usize) -> Result<Self, DeviceError> {
        let length = length(len)?;
        Self::start(offset, Vec::new(), vec![0; len], |buffers| {
            // SAFETY: as in `device_control`.
            unsafe {
                ReadFile(
                    device.as_raw_handle(),
                    buffers.output,
                    length,
                    ptr::null_mut(),
                    buffers.overlapped,
                )
            }
        })
    }

    /// Writes `data` at `offset` to `device`, which must have been opened for overlapped I/O.
    ///
    /// # Errors
    /// The request was refused at once; nothing is under way.
    pub(super) fn write(device: BorrowedHandle<'_>, offset: u64, data: &[u8]) -> Result<Self, DeviceError> {
        let length = length(data.len())?;
        Self::start(offset, data.to_vec(), Vec::new(), |buffers| {
            // SAFETY: as in `device_control`.
            unsafe {
                WriteFile(
                    device.as_raw_handle(),
                    buffers.input,
                    length,
                    ptr::null_mut(),
                    buffers.overlapped,
                )
            }
        })
    }

    /// Starts a request by `call`, which is given buffers that stay where they are, and are not touched by this program, until the request
    /// is completed ([`finish`](Self::finish)). The event stays open as long.
    fn start(
        offset: u64,
        input: Vec<u8>,
        output: Vec<u8>,
        call: impl FnOnce(Buffers) -> BOOL,
    ) -> Result<Self, DeviceError> {
        let event = Event::new().map_err(|error| to_device_error(&error))?;
        let mut shared = Box::new(Shared {
            overlapped: OVERLAPPED {
                hEvent: event.handle(),
                Anonymous: OVERLAPPED_0 {
                    Anonymous: position(offset),
                },
                ..OVERLAPPED::default()
            },
            output,
            input,
        });
        let (input, output) = (shared.input.as_ptr(), shared.output.as_mut_ptr());
        let shared = NonNull::from(Box::leak(shared));
        // SAFETY: the pointer is to a live box.
        let overlapped = unsafe { &raw mut (*shared.as_ptr()).overlapped };

        // A request that is completed already is reported through the event and the structure as well.
        if call(Buffers {
            overlapped,
            input,
            output,
        }) == FALSE
        {
            let error = last_error();
            if error != ERROR_IO_PENDING {
                // SAFETY: the request was refused, so the kernel has no use for the box, and nobody else has a pointer to it.
                drop(unsafe { Box::from_raw(shared.as_ptr()) });
                return Err(DeviceError::Win32(error));
            }
        }
        Ok(Self { shared, event })
    }

    /// Is set when the request is completed.
    pub(super) fn completed(&self) -> &Event {
        &self.event
    }

    /// Asks for the request to be cancelled.
    pub(super) fn cancel(&self, device: BorrowedHandle<'_>) {
        // SAFETY: `device` is an open handle. The structure is only compared with those of the requests under way.
        // That none is found means that this one is completed already: nothing is to be done then.
        unsafe { CancelIoEx(device.as_raw_handle(), self.overlapped()) };
    }

    /// Waits until the request is completed and returns what it brought.
    ///
    /// # Errors
    /// How the request failed.
    pub(super) fn finish(self, device: BorrowedHandle<'_>) -> Result<Completed, DeviceError> {
        let mut transferred = 0;
        // SAFETY: `device` is the handle that the request was sent to; structure and event live.
        let succeeded =
            unsafe { GetOverlappedResult(device.as_raw_handle(), self.overlapped(), &raw mut transferred, TRUE) };
        let error = last_error();

        // SAFETY: the structure lives.
        let status = unsafe { &raw const (*self.overlapped()).Internal };
        // SAFETY: as above; the kernel may be writing the field, which a volatile read takes as it finds it.
        let status = unsafe { status.read_volatile() };
        if status == STATUS_PENDING.cast_unsigned() as usize {
            // The wait itself failed: the memory stays the kernel's.
            return Err(DeviceError::Win32(error));
        }
        // SAFETY: the request is completed, so the kernel is done with the box; `self` is consumed, so nobody else has it.
        let mut shared = unsafe { Box::from_raw(self.shared.as_ptr()) };
        if succeeded == FALSE {
            return Err(DeviceError::Win32(error));
        }
        let transferred = transferred as usize;
        shared.output.truncate(transferred);
        Ok(Completed {
            transferred,
            output: shared.output,
        })
    }

    fn overlapped(&self) -> *mut OVERLAPPED {
        // SAFETY: the box is freed by `finish` only, which consumes `self`.
        unsafe { &raw mut (*self.shared.as_ptr()).overlapped }
    }
}

fn to_device_error(error: &io::Error) -> DeviceError {
    DeviceError::Win32(error.raw_os_error().map_or(0, i32::cast_unsigned))
}

/// An offset as `OVERLAPPED` has it, in two halves.
fn position(offset: u64) -> OVERLAPPED_0_0 {
    let low = offset & u64::from(u32::MAX);
    let half = |half| u32::try_from(half).unwrap_or_default();
    OVERLAPPED_0_0 {
        Offset: half(low),
        OffsetHigh: half(offset >> 32),
    }
}

/// A buffer's length as Win32 takes it.
fn length(length: usize) -> Result<u32, DeviceError> {
    use windows_sys::Win32::Foundation::ERROR_INVALID_PARAMETER;

    u32::try_from(length).map_err(|_| DeviceError::Win32(ERROR_INVALID_PARAMETER))
}

#[cfg(test)]
mod tests;
