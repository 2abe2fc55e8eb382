//! The position of a file that was opened for synchronous I/O.
//!
//! A read or write of such a file that names no place takes place where the last one ended: the I/O manager gives the driver the file object's
//! `CurrentByteOffset` ([`NtReadFile`](https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-ntreadfile)). It is the driver at
//! the bottom that moves it: [`FltReadFile`](https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltreadfile) says
//! so of file systems, and those among Microsoft's driver samples do it just before they complete a read or write that has succeeded, unless
//! it was paging I/O. The page of `FILE_OBJECT` calls the member read-only; but without a driver that moves it, it stays where it is.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicI64, Ordering};

use wdk_sys::{FILE_OBJECT, FO_SYNCHRONOUS_IO, IRP, IRP_PAGING_IO};

use super::{
    raw::current_stack_location,
    request::{ReadWrite, read_write},
};
use crate::status::Status;

/// Moves the position of the request's file to behind what was transferred, if the request is a read or write that has succeeded, and its file
/// one with a position. Where a write to the end of a file ends the driver alone knows: it moves nothing.
///
/// # Safety
/// The IRP must be at this driver, and owned.
pub(super) unsafe fn advance(irp: NonNull<IRP>, status: Status, transferred: usize) {
    // SAFETY: promised by the caller.
    let Some(ReadWrite { offset, .. }) = (unsafe { read_write(irp) }) else {
        return;
    };
    // SAFETY: promised by the caller.
    let flags = unsafe { (*irp.as_ptr()).Flags };
    if !status.is_success() || offset < 0 || flags & IRP_PAGING_IO != 0 {
        return;
    }
    // SAFETY: promised by the caller.
    let stack = unsafe { current_stack_location(irp) };
    let Some(file) = NonNull::new(stack.FileObject) else {
        return;
    };
    // SAFETY: the I/O manager keeps the file object until the IRP is completed; the flag does not change.
    if unsafe { (*file.as_ptr()).Flags } & FO_SYNCHRONOUS_IO == 0 {
        return;
    }
    let moved = i64::try_from(transferred).map_or(i64::MAX, |transferred| offset.saturating_add(transferred));
    // SAFETY: as above.
    unsafe { position_of(file) }.store(moved, Ordering::Relaxed);
}

/// A file object's position. The I/O manager lets one request of the file at a time be made, but a driver above may make others beside it: hence
/// the atomic.
///
/// # Safety
/// The file object must be valid for `'a`.
unsafe fn position_of<'a>(file: NonNull<FILE_OBJECT>) -> &'a AtomicI64 {
    // SAFETY: only an address is computed, within the file object.
    let slot = unsafe { &raw mut (*file.as_ptr()).CurrentByteOffset };
    // SAFETY: the field has the size and the alignment of a 64-bit number.
    unsafe { AtomicI64::from_ptr(slot.cast()) }
}
