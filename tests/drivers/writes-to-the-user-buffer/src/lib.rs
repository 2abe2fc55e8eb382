//! A driver that writes its answer to `Irp->UserBuffer`, an address that nobody has probed.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`, a buffered request, with 5. A program can name any address, those of the system included. With 4 the
//! answer goes to the system buffer. Windows lets it pass where the address is the program's, stops with 0x50, or has its memory overwritten.
#![no_std]

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, set_status};
use wdk_sys::{NTSTATUS, PIRP, STATUS_SUCCESS, ntddk::IofCompleteRequest};

/// The factorial of 5.
const ANSWER: u32 = 120;

/// See the crate's documentation.
enum WritesToTheUserBuffer {}

impl TestDriver for WritesToTheUserBuffer {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver, with its input.
        let fault = unsafe { asks_for_fault(irp) };
        // SAFETY: the IRP is at this driver.
        let user_buffer = unsafe { (*irp).UserBuffer };
        // SAFETY: as above.
        let buffers = unsafe { &(*irp).AssociatedIrp };
        // SAFETY: the request is a buffered one.
        let system_buffer = unsafe { buffers.SystemBuffer };
        let answer = if fault { user_buffer } else { system_buffer };
        // SAFETY: none where it is the user buffer: the address is of the program's choice.
        unsafe { answer.cast::<u32>().write_volatile(ANSWER) }; // BUG: writes to an address that nobody has probed
        // SAFETY: the IRP is at this driver.
        unsafe { set_status(irp, STATUS_SUCCESS) };
        // SAFETY: as above.
        let io_status = unsafe { &mut (*irp).IoStatus };
        io_status.Information = size_of_val(&ANSWER) as u64;
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { IofCompleteRequest(irp, 0) };
        STATUS_SUCCESS
    }
}

driver_entry!(WritesToTheUserBuffer);
