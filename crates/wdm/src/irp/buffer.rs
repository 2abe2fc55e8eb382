//! The buffer of a buffered request.

use core::mem::size_of;
use core::ptr::NonNull;

use wdk_sys::{IRP, METHOD_BUFFERED};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Irp, device_control};
use crate::status::{Result, Status};

/// The transfer method is in the two low bits of an I/O control code.
pub(crate) const METHOD_MASK: u32 = 3;

impl Irp<'_> {
    /// A copy of the input of a buffered device control request, which is exactly one `T` long.
    ///
    /// Input and output share one system buffer, so input is copied out before any output is written.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if the input has another length; `STATUS_INVALID_DEVICE_REQUEST` if the request is not a buffered
    /// device control request, or if output has been written since the request was
    /// last taken out of a queue.
    pub fn read_input<T: FromBytes>(&self) -> Result<T> {
        if self.information != 0 {
            return Err(Status::INVALID_DEVICE_REQUEST);
        }
        // SAFETY: the IRP is owned.
        unsafe { read_input(self.raw) }
    }

    /// Appends `value` to the output of a buffered device control request. What was written is returned to the caller when the request
    /// is completed: no other byte of the buffer is.
    ///
    /// # Errors
    /// `STATUS_BUFFER_TOO_SMALL` if it does not fit, and nothing is written; `STATUS_INVALID_DEVICE_REQUEST` if the request is not a
    /// buffered device control request.
    pub fn write_output<T: IntoBytes + Immutable>(&mut self, value: &T) -> Result<()> {
        // SAFETY: the IRP is owned.
        let (buffer, _, output_length) = unsafe { system_buffer(self.raw) }?;
        let bytes = value.as_bytes();
        let end = self
            .information
            .checked_add(bytes.len())
            .filter(|end| *end <= output_length);
        let (Some(end), Some(buffer)) = (end, buffer) else {
            return Err(Status::BUFFER_TOO_SMALL);
        };
        // SAFETY: `information` is at most the length of the buffer.
        let destination = unsafe { buffer.add(self.information) };
        // SAFETY: the bytes fit behind what was written, and `value` cannot lie in a buffer that is only ever copied from.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), destination.as_ptr(), bytes.len()) };
        self.information = end;
        Ok(())
    }
}

/// A copy of the input of a buffered device control request, which is exactly one `T` long.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked; no output may have been written.
pub(crate) unsafe fn read_input<T: FromBytes>(irp: NonNull<IRP>) -> Result<T> {
    // SAFETY: promised by the caller.
    let (buffer, input_length, _) = unsafe { system_buffer(irp) }?;
    if input_length != size_of::<T>() {
        return Err(Status::INVALID_PARAMETER);
    }
    let buffer = buffer.ok_or(Status::INVALID_PARAMETER)?;
    // SAFETY: the system buffer is at least as long as the input, nobody else writes it meanwhile, and any bytes make a T.
    Ok(unsafe { buffer.cast::<T>().read_unaligned() })
}

/// The system buffer of a buffered device control request, with the lengths of input and output.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
unsafe fn system_buffer(irp: NonNull<IRP>) -> Result<(Option<NonNull<u8>>, usize, usize)> {
    // SAFETY: promised by the caller.
    let request = unsafe { device_control(irp) }.ok_or(Status::INVALID_DEVICE_REQUEST)?;
    if request.code & METHOD_MASK != METHOD_BUFFERED {
        return Err(Status::INVALID_DEVICE_REQUEST);
    }
    // SAFETY: promised by the caller.
    let associated = unsafe { &(*irp.as_ptr()).AssociatedIrp };
    // SAFETY: a buffered request uses this member of the union; it is null where both lengths are 0.
    let buffer = unsafe { associated.SystemBuffer };
    let lengths = (request.input_length as usize, request.output_length as usize);
    Ok((NonNull::new(buffer.cast()), lengths.0, lengths.1))
}
