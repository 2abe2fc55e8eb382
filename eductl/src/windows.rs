//! The transport for Windows: the device interface that the driver registers, and overlapped `DeviceIoControl`.
//!
//! The only module of eductl with `unsafe`: it calls Win32. What the kernel writes to while a request is under way (the
//! `OVERLAPPED` structure and the output buffer) is owned by `in_flight`, which frees it after completion only.

mod event;
mod in_flight;
mod interfaces;
mod open_error;
mod overlapped_device;
mod stop_signal;
#[cfg(test)]
mod test_pipe;

pub use open_error::OpenError;
pub use overlapped_device::OverlappedDevice;
pub use stop_signal::StopSignal;

use std::io;

/// The calling thread's last Win32 error.
fn last_error() -> u32 {
    // std keeps the code as an `i32`; the bits are those of the DWORD.
    io::Error::last_os_error().raw_os_error().map_or(0, i32::cast_unsigned)
}
