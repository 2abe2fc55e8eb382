//! A driver without dispatch routines for `IRP_MJ_POWER` and `IRP_MJ_SYSTEM_CONTROL`: nobody passes these requests down.
//!
//! Trigger: its device is added. Windows with Driver Verifier: bug check 0xC9 with 0x21F.
#![no_std]

use test_driver_common::{
    __private::{DRIVER_OBJECT, UNICODE_STRING, load},
    Device, TestDriver, finish,
};
use wdk_sys::{IRP_MJ_POWER, IRP_MJ_SYSTEM_CONTROL, NTSTATUS, PIRP, STATUS_SUCCESS};

/// See the crate's documentation.
enum LacksDispatchRoutines {}

impl TestDriver for LacksDispatchRoutines {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }
}

/// Called by the system when it loads the driver.
// SAFETY: the linker is told this name; no other symbol of the driver has it.
#[unsafe(export_name = "DriverEntry")]
unsafe extern "system" fn driver_entry(driver: *mut DRIVER_OBJECT, _: *const UNICODE_STRING) -> NTSTATUS {
    let left_out = [IRP_MJ_POWER, IRP_MJ_SYSTEM_CONTROL];
    // SAFETY: the system calls with the driver object that it made for this image.
    let before = left_out.map(|major| unsafe { (*driver).MajorFunction[major as usize] });
    // SAFETY: as above.
    let status = unsafe { load::<LacksDispatchRoutines>(driver) }; // BUG: two of the routines do not stay
    for (major, routine) in left_out.into_iter().zip(before) {
        // SAFETY: as above.
        unsafe { (*driver).MajorFunction[major as usize] = routine };
    }
    status
}
