//! A named pipe that stands in for the device in tests: it takes control codes, too, and one of them pends.

use std::fs::{File, OpenOptions};
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::process;
use std::ptr;

use edu::ioctl::ControlCode;
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX,
};
use windows_sys::Win32::System::Pipes::{CreateNamedPipeW, PIPE_TYPE_BYTE};

/// Pends until a client opens the pipe. Buffered; no input, no output.
pub(super) const FSCTL_PIPE_LISTEN: ControlCode = ControlCode::from_raw(0x0011_0008);

/// Answers at once with a header and what lies in the pipe. Buffered; no input.
pub(super) const FSCTL_PIPE_PEEK: ControlCode = ControlCode::from_raw(0x0011_400C);

/// The header of `FSCTL_PIPE_PEEK`'s answer: four 32-bit numbers.
pub(super) const PEEK_HEADER: usize = 16;

/// A pipe with one instance, opened for overlapped I/O.
pub(super) struct TestPipe {
    pub(super) server: OwnedHandle,
    name: String,
}

impl TestPipe {
    /// Creates the pipe; `test` tells it from those of other tests.
    pub(super) fn new(test: &str) -> Self {
        let name = format!(r"\\.\pipe\eductl-{}-{test}", process::id());
        let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
        let access = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE;
        // SAFETY: the name ends with a zero; null attributes are allowed.
        let handle = unsafe { CreateNamedPipeW(wide.as_ptr(), access, PIPE_TYPE_BYTE, 1, 512, 512, 0, ptr::null()) };
        assert_ne!(handle, INVALID_HANDLE_VALUE, "the pipe can be created");
        // SAFETY: the call above made the handle, and nothing else owns it.
        let server = unsafe { OwnedHandle::from_raw_handle(handle) };
        Self { server, name }
    }

    /// Opens the other end, which completes `FSCTL_PIPE_LISTEN`.
    pub(super) fn connect(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.name)
            .expect("the pipe takes a client")
    }
}
