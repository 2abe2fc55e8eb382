//! A driver as C drivers are: the lowest of a stack (but for the bus), which relies on what the drivers above owe it.
//!
//! It does direct I/O, and uses the MDL of a read without asking whether there is one. It counts the CREATE, CLEANUP and CLOSE requests that reach it,
//! tells whether a `METHOD_NEITHER` request comes in its caller's thread, and clears `DO_POWER_PAGABLE` for a paging file or a hibernation file.
//! A hibernation file it does not let go of; a dump file it does not support. Nothing in here is wrong: the scenarios look for what is in the safe
//! layer, on which the driver above is written.
#![no_std]

mod protocol;

use core::sync::atomic::{AtomicU32, Ordering};

use protocol::{IN_THREAD, IN_THREAD_LATER, LOOK, NOTIFIED, REPARSE, SEEN, UNKNOWN_LATER, VOUCHED_LATER};
use test_driver_common::{Device, TestDriver, driver_entry, finish, pass_down, set_status, stack_location};
use wdk_sys::{
    _DEVICE_USAGE_NOTIFICATION_TYPE::{DeviceUsageTypeDumpFile, DeviceUsageTypeHibernation},
    DEVICE_OBJECT, DO_DIRECT_IO, DO_POWER_PAGABLE, DRIVER_OBJECT, FILE_DEVICE_SERIAL_PORT, FILE_READ_ONLY_DEVICE,
    IO_STACK_LOCATION, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL,
    IRP_MJ_INTERNAL_DEVICE_CONTROL, IRP_MJ_READ, IRP_MN_DEVICE_USAGE_NOTIFICATION, NTSTATUS, PDEVICE_OBJECT, PIRP,
    STATUS_BUFFER_TOO_SMALL, STATUS_DEVICE_BUSY, STATUS_INTERNAL_ERROR, STATUS_INVALID_DEVICE_REQUEST, STATUS_REPARSE,
    STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
    ntddk::{IofCompleteRequest, PsGetCurrentThreadId, PsGetThreadId},
};

/// How many requests of each kind have come: CREATE, CLEANUP, CLOSE, READ.
static SEEN_SO_FAR: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

/// How many special files are on the device.
static SPECIAL_FILES: AtomicU32 = AtomicU32::new(0);
/// How many notifications of such files have come, and the flags of the device on top when the last one did.
static NOTIFICATIONS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// See the crate's documentation.
enum BareStorey {}

impl TestDriver for BareStorey {
    type State = ();

    fn adapt(device: &mut DEVICE_OBJECT) {
        device.Flags |= DO_DIRECT_IO;
        device.DeviceType = FILE_DEVICE_SERIAL_PORT;
        device.Characteristics |= FILE_READ_ONLY_DEVICE;
    }

    fn routines(driver: &mut DRIVER_OBJECT) {
        driver.MajorFunction[IRP_MJ_CREATE as usize] = Some(create);
        driver.MajorFunction[IRP_MJ_CLEANUP as usize] = Some(cleanup);
        driver.MajorFunction[IRP_MJ_CLOSE as usize] = Some(close);
        driver.MajorFunction[IRP_MJ_READ as usize] = Some(read);
        driver.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(device_control);
        driver.MajorFunction[IRP_MJ_INTERNAL_DEVICE_CONTROL as usize] = Some(device_control);
    }

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_INVALID_DEVICE_REQUEST) }
    }

    unsafe fn plug_and_play(_device: Device<Self>, lower: PDEVICE_OBJECT, irp: PIRP, minor: u32) -> Option<NTSTATUS> {
        if minor != IRP_MN_DEVICE_USAGE_NOTIFICATION {
            return None;
        }
        // SAFETY: the IRP is at this driver.
        let stack = unsafe { current(irp) };
        // SAFETY: the minor function says which member of the union is in use.
        let usage = unsafe { stack.Parameters.UsageNotification };
        let in_path = usage.InPath != 0;
        // SAFETY: the device object is this driver's.
        let device = unsafe { &mut *stack.DeviceObject };
        // SAFETY: the request has come through the device on top, if there is one.
        let top = unsafe { device.AttachedDevice.as_ref() };
        let [notifications, flags] = &NOTIFICATIONS;
        notifications.fetch_add(1, Ordering::Relaxed);
        flags.store(top.map_or(0, |top| top.Flags), Ordering::Relaxed);

        if usage.Type == DeviceUsageTypeDumpFile {
            // SAFETY: the IRP is at this driver, which gives it up.
            return Some(unsafe { finish(irp, STATUS_UNSUCCESSFUL) });
        }
        if usage.Type == DeviceUsageTypeHibernation && !in_path {
            // SAFETY: as above.
            return Some(unsafe { finish(irp, STATUS_DEVICE_BUSY) });
        }
        if !in_path && SPECIAL_FILES.load(Ordering::Relaxed) == 1 {
            device.Flags |= DO_POWER_PAGABLE;
        }
        // SAFETY: the IRP is at this driver. No lower driver fails the request.
        let status = unsafe { pass_down(irp, lower) };
        if in_path {
            SPECIAL_FILES.fetch_add(1, Ordering::Relaxed);
            device.Flags &= !DO_POWER_PAGABLE;
        } else {
            SPECIAL_FILES.fetch_sub(1, Ordering::Relaxed);
        }
        Some(status)
    }
}

driver_entry!(BareStorey);

/// `IRP_MJ_CREATE`.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn create(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the IRP is at this driver, which gives it up.
    unsafe { count(0, irp) }
}

/// `IRP_MJ_CLEANUP`.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn cleanup(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the IRP is at this driver, which gives it up.
    unsafe { count(1, irp) }
}

/// `IRP_MJ_CLOSE`.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn close(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the IRP is at this driver, which gives it up.
    unsafe { count(2, irp) }
}

/// `IRP_MJ_READ`: nothing but zeroes is read.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn read(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the device does direct I/O, so the I/O manager has made an MDL, which lives as long as the IRP.
    let mdl = unsafe { (*irp).MdlAddress };
    // SAFETY: as above; only an address is computed. Nobody asks whether there is one, as drivers do not.
    let length = unsafe { &raw const (*mdl).ByteCount };
    // SAFETY: as above.
    let _length = unsafe { length.read_volatile() };
    // SAFETY: the IRP is at this driver, which gives it up.
    unsafe { count(3, irp) }
}

/// Counts a request, and completes it.
///
/// # Safety
/// The IRP must be at this driver; the caller gives it up.
unsafe fn count(kind: usize, irp: PIRP) -> NTSTATUS {
    if let Some(seen) = SEEN_SO_FAR.get(kind) {
        seen.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: promised by the caller.
    unsafe { finish(irp, STATUS_SUCCESS) }
}

/// `IRP_MJ_DEVICE_CONTROL`, and `IRP_MJ_INTERNAL_DEVICE_CONTROL`, which has the same parameters.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn device_control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the IRP is at this driver.
    let stack = unsafe { current(irp) };
    // SAFETY: the dispatch routine says which member of the union is in use.
    let code = unsafe { stack.Parameters.DeviceIoControl.IoControlCode };
    match code {
        SEEN => {
            let seen = SEEN_SO_FAR.each_ref().map(|seen| seen.load(Ordering::Relaxed));
            // SAFETY: the IRP is at this driver, which gives it up.
            unsafe { answer(irp, seen) }
        }
        LOOK => {
            // SAFETY: the device object is this driver's.
            let own = unsafe { &*device };
            // SAFETY: the request has come through the device on top, if there is one.
            let top = unsafe { own.AttachedDevice.as_ref() }.unwrap_or(own);
            let seen = [own, top].into_iter();
            let seen = seen.flat_map(|device| [device.DeviceType, device.Flags, device.Characteristics]);
            let mut numbers = [0; 6];
            numbers.iter_mut().zip(seen).for_each(|(number, seen)| *number = seen);
            // SAFETY: the IRP is at this driver, which gives it up.
            unsafe { answer(irp, numbers) }
        }
        NOTIFIED => {
            let notified = NOTIFICATIONS.each_ref().map(|number| number.load(Ordering::Relaxed));
            // SAFETY: the IRP is at this driver, which gives it up.
            unsafe { answer(irp, notified) }
        }
        // SAFETY: as above.
        REPARSE => unsafe { finish(irp, STATUS_REPARSE) },
        // SAFETY: as above.
        VOUCHED_LATER | UNKNOWN_LATER => unsafe { finish(irp, STATUS_SUCCESS) },
        _ if IN_THREAD.contains(&code) || IN_THREAD_LATER.contains(&code) => {
            // SAFETY: the IRP is at this driver.
            let tail = unsafe { &(*irp).Tail };
            // SAFETY: an IRP at a driver has this member of the union in use.
            let caller = unsafe { tail.Overlay.Thread };
            // SAFETY: an IRP of a program's has the thread that has made it, which exists as long as the IRP.
            let caller = unsafe { PsGetThreadId(caller) };
            // SAFETY: nothing is demanded.
            let here = unsafe { PsGetCurrentThreadId() };
            let status = if caller == here {
                STATUS_SUCCESS
            } else {
                STATUS_INTERNAL_ERROR
            };
            // SAFETY: the IRP is at this driver, which gives it up.
            unsafe { finish(irp, status) }
        }
        // SAFETY: the IRP is at this driver, which gives it up.
        _ => unsafe { finish(irp, STATUS_INVALID_DEVICE_REQUEST) },
    }
}

/// A copy of the current stack location.
///
/// # Safety
/// The IRP must be at this driver.
unsafe fn current(irp: PIRP) -> IO_STACK_LOCATION {
    // SAFETY: promised by the caller.
    let location = unsafe { stack_location(irp) };
    // SAFETY: as above.
    unsafe { *location }
}

/// Completes a buffered device control request with these numbers as output.
///
/// # Safety
/// The IRP must be such a request at this driver; the caller gives it up.
unsafe fn answer<const N: usize>(irp: PIRP, numbers: [u32; N]) -> NTSTATUS {
    // SAFETY: promised by the caller.
    let stack = unsafe { current(irp) };
    // SAFETY: promised by the caller.
    let room = unsafe { stack.Parameters.DeviceIoControl.OutputBufferLength };
    if (room as usize) < size_of_val(&numbers) {
        // SAFETY: promised by the caller.
        return unsafe { finish(irp, STATUS_BUFFER_TOO_SMALL) };
    }
    // SAFETY: promised by the caller.
    let associated = unsafe { &(*irp).AssociatedIrp };
    // SAFETY: the request is buffered.
    let buffer = unsafe { associated.SystemBuffer };
    // SAFETY: the buffer is as long as the output, which is long enough.
    unsafe { buffer.cast::<[u32; N]>().write_unaligned(numbers) };
    // SAFETY: promised by the caller.
    unsafe { set_status(irp, STATUS_SUCCESS) };
    // SAFETY: promised by the caller.
    let io_status = unsafe { &mut (*irp).IoStatus };
    io_status.Information = size_of_val(&numbers) as u64;
    // SAFETY: promised by the caller.
    unsafe { IofCompleteRequest(irp, 0) };
    STATUS_SUCCESS
}
