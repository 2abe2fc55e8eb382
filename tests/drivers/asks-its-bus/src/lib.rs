//! A driver that asks its bus driver for the device's capabilities, as "Obtaining Device Configuration Information at IRQL =
//! `PASSIVE_LEVEL`" shows. Nothing is wrong with it.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL` with 4, for an IRP made by `IoBuildSynchronousFsdRequest`, which the I/O manager ends; with 5, for one
//! made by `IoAllocateIrp`, which the driver takes back in its completion routine. Of `IoStatus` both set the status only.
#![no_std]

use core::{ffi::c_void, ptr::null_mut};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish, stack_location};
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    DEVICE_CAPABILITIES, DEVICE_OBJECT, IO_STATUS_BLOCK, IRP, IRP_MJ_PNP, IRP_MN_QUERY_CAPABILITIES, KEVENT, NTSTATUS,
    PDEVICE_OBJECT, PIRP, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_NOT_SUPPORTED, STATUS_PENDING,
    ntddk::{
        IoAllocateIrp, IoBuildSynchronousFsdRequest, IoFreeIrp, IoGetAttachedDeviceReference, IofCallDriver,
        KeInitializeEvent, KeSetEvent, KeWaitForSingleObject, ObfDereferenceObject,
    },
};

/// `KernelMode`.
const KERNEL_MODE: i8 = 0;

#[expect(clippy::cast_possible_truncation, reason = "the control flags have 8 bits")]
const INVOKE_ALWAYS: u8 = (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL) as u8;
#[expect(clippy::cast_possible_truncation, reason = "the structure is 64 bytes long")]
const CAPABILITIES_SIZE: u16 = size_of::<DEVICE_CAPABILITIES>() as u16;

/// See the crate's documentation.
enum AsksItsBus {}

impl TestDriver for AsksItsBus {
    type State = ();

    unsafe fn factorial(_device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // Neither way is a fault.
        // SAFETY: the IRP is at this driver, with its input.
        let own_irp = unsafe { asks_for_fault(irp) };
        // SAFETY: the IRP is at this driver.
        let location = unsafe { stack_location(irp) };
        // SAFETY: as above.
        let device = unsafe { (*location).DeviceObject };
        // SAFETY: the device object exists while a request is served.
        let top = unsafe { IoGetAttachedDeviceReference(device) };
        // SAFETY: the reference keeps the device object.
        let status = unsafe { query_capabilities(top, own_irp) };
        // SAFETY: referenced above.
        unsafe { ObfDereferenceObject(top.cast()) };
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, status) }
    }
}

/// Sends `IRP_MN_QUERY_CAPABILITIES` and waits for its end. IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
/// `top` must be the highest device object of its stack, and exist meanwhile.
unsafe fn query_capabilities(top: PDEVICE_OBJECT, own_irp: bool) -> NTSTATUS {
    let mut event = KEVENT::default();
    let mut block = IO_STATUS_BLOCK::default();
    let mut capabilities = DEVICE_CAPABILITIES {
        Size: CAPABILITIES_SIZE,
        Version: 1,
        Address: u32::MAX,
        UINumber: u32::MAX,
        ..DEVICE_CAPABILITIES::default()
    };
    // SAFETY: the event is a local variable of a function that waits for it.
    unsafe { KeInitializeEvent(&raw mut event, NotificationEvent, 0) };
    let irp = if own_irp {
        // SAFETY: promised by the caller.
        let stack_size = unsafe { (*top).StackSize };
        // SAFETY: no quota is charged.
        unsafe { IoAllocateIrp(stack_size, 0) }
    } else {
        let (event, block) = (&raw mut event, &raw mut block);
        // SAFETY: event and block are local variables of a function that waits for the IRP's end.
        unsafe { IoBuildSynchronousFsdRequest(IRP_MJ_PNP, top, null_mut(), 0, null_mut(), event, block) }
    };
    if irp.is_null() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the IRP is new.
    let next = unsafe { stack_location(irp) }.wrapping_sub(1);
    // SAFETY: the IRP has a stack location for the top of the stack.
    let next = unsafe { &mut *next };
    #[expect(clippy::cast_possible_truncation, reason = "function codes have 8 bits")]
    {
        next.MajorFunction = IRP_MJ_PNP as u8;
        next.MinorFunction = IRP_MN_QUERY_CAPABILITIES as u8;
    }
    next.Parameters.DeviceCapabilities.Capabilities = &raw mut capabilities;
    if own_irp {
        next.CompletionRoutine = Some(take_back);
        next.Context = (&raw mut event).cast();
        next.Control = INVOKE_ALWAYS;
    }
    // SAFETY: the IRP is this driver's still.
    let io_status = unsafe { &mut (*irp).IoStatus };
    io_status.__bindgen_anon_1.Status = STATUS_NOT_SUPPORTED;
    // SAFETY: the request is complete.
    let mut status = unsafe { IofCallDriver(top, irp) };
    if status == STATUS_PENDING {
        let object = (&raw mut event).cast();
        // SAFETY: the stack stays in memory during a wait in kernel mode.
        let _ = unsafe { KeWaitForSingleObject(object, Executive, KERNEL_MODE, 0, null_mut()) };
        status = if own_irp {
            // SAFETY: the completion routine has taken the IRP back.
            let io_status = unsafe { &(*irp).IoStatus.__bindgen_anon_1 };
            // SAFETY: the lower drivers have set the status.
            unsafe { io_status.Status }
        } else {
            // SAFETY: the I/O manager has filled in the block.
            unsafe { block.__bindgen_anon_1.Status }
        };
    }
    if own_irp {
        // SAFETY: the IRP is this driver's again.
        unsafe { IoFreeIrp(irp) };
    }
    status
}

/// Takes the driver's own IRP back.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn take_back(_device: *mut DEVICE_OBJECT, _irp: *mut IRP, event: *mut c_void) -> NTSTATUS {
    // SAFETY: the sender waits for the event where a lower driver has pended, and has not returned otherwise.
    unsafe { KeSetEvent(event.cast(), 0, 0) };
    STATUS_MORE_PROCESSING_REQUIRED
}

driver_entry!(AsksItsBus);
