//! What a request asks for: the parameters in its stack location.

use core::ptr::NonNull;

use wdk_sys::IRP;

use super::{MajorFunction, raw::current_stack_location};

/// The parameters of `IRP_MJ_DEVICE_CONTROL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceControl {
    /// The I/O control code.
    pub code: u32,
    /// Length of the input, in bytes.
    pub input_length: u32,
    /// Length of the output buffer, in bytes.
    pub output_length: u32,
}

/// Which way the data of an `IRP_MJ_READ` or `IRP_MJ_WRITE` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// `IRP_MJ_READ`: from the device to the caller.
    Read,
    /// `IRP_MJ_WRITE`: from the caller to the device.
    Write,
}

/// The parameters of `IRP_MJ_READ` and `IRP_MJ_WRITE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadWrite {
    /// Which of the two it is.
    pub transfer: Transfer,
    /// How many bytes.
    pub length: u32,
    /// Where on the device, in bytes from its start. Below 0 is one value with a meaning of its own: -1, of a write, is the end of a file
    /// (`FILE_WRITE_TO_END_OF_FILE`). What means "where the last request ended" to programs (`FILE_USE_FILE_POINTER_POSITION`, or no offset) is
    /// an offset like others here: the I/O manager has looked it up.
    pub offset: i64,
}

/// The parameters of a device control request; `None` for another request.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(super) unsafe fn device_control(irp: NonNull<IRP>) -> Option<DeviceControl> {
    // SAFETY: promised by the caller.
    let stack = unsafe { current_stack_location(irp) };
    if stack.MajorFunction != MajorFunction::DEVICE_CONTROL.as_raw() {
        return None;
    }
    // SAFETY: the major function says which member of the union is in use.
    let parameters = unsafe { stack.Parameters.DeviceIoControl };
    Some(DeviceControl {
        code: parameters.IoControlCode,
        input_length: parameters.InputBufferLength,
        output_length: parameters.OutputBufferLength,
    })
}

/// The parameters of a read or write request; `None` for another request.
///
/// # Safety
/// As [`device_control`].
pub(super) unsafe fn read_write(irp: NonNull<IRP>) -> Option<ReadWrite> {
    // SAFETY: promised by the caller.
    let stack = unsafe { current_stack_location(irp) };
    if stack.MajorFunction == MajorFunction::READ.as_raw() {
        // SAFETY: the major function says which member of the union is in use.
        let parameters = unsafe { stack.Parameters.Read };
        return Some(ReadWrite {
            transfer: Transfer::Read,
            length: parameters.Length,
            // SAFETY: every bit pattern of this member is a number.
            offset: unsafe { parameters.ByteOffset.QuadPart },
        });
    }
    if stack.MajorFunction == MajorFunction::WRITE.as_raw() {
        // SAFETY: as for a read.
        let parameters = unsafe { stack.Parameters.Write };
        return Some(ReadWrite {
            transfer: Transfer::Write,
            length: parameters.Length,
            // SAFETY: as for a read.
            offset: unsafe { parameters.ByteOffset.QuadPart },
        });
    }
    None
}
