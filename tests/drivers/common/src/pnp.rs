//! `IRP_MJ_PNP`.
//!
//! The registers stay mapped from START to the end of REMOVE, surprise removal in between or not: they read all ones then, and no
//! request that is being worked on loses them. So the device cannot be stopped for a while, and a query for that is refused.

use wdk_sys::{
    IRP_MN_CANCEL_REMOVE_DEVICE, IRP_MN_CANCEL_STOP_DEVICE, IRP_MN_QUERY_REMOVE_DEVICE, IRP_MN_QUERY_STOP_DEVICE,
    IRP_MN_REMOVE_DEVICE, IRP_MN_START_DEVICE, IRP_MN_SURPRISE_REMOVAL, NT_SUCCESS, NTSTATUS, PAGE_NOCACHE,
    PAGE_READWRITE, PDEVICE_OBJECT, PIRP, SIZE_T, STATUS_DEVICE_CONFIGURATION_ERROR, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
    ntddk::{
        IoDeleteDevice, IoDetachDevice, IoSetDeviceInterfaceState, MmMapIoSpaceEx, MmUnmapIoSpace, RtlFreeUnicodeString,
    },
};

use crate::{
    Device, TestDriver,
    irp::{complete, forward_and_wait, pass_down, set_status, stack_location},
    resources::Resources,
};

/// The registers lie in the first page of the device's memory.
const REGISTERS_SIZE: SIZE_T = 0x1000;

/// `IRP_MJ_PNP`. IRQL: `PASSIVE_LEVEL`.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn pnp<D: TestDriver>(fdo: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: the I/O manager calls with a device object of this driver.
    let device = unsafe { Device::<D>::of(fdo) };
    let tag = irp.cast();
    if let Err(status) = device.acquire_remove_lock(tag) {
        // SAFETY: the IRP is at this driver.
        return unsafe { complete(irp, status) };
    }
    // SAFETY: the IRP is at this driver.
    let stack = unsafe { stack_location(irp) };
    // SAFETY: as above.
    let minor = unsafe { (*stack).MinorFunction };
    // SAFETY: the extension exists while the lock is held.
    let lower = unsafe { (*device.extension()).lower };
    // SAFETY: the IRP is at this driver, and `lower` is next below.
    if let Some(status) = unsafe { own_part(device, lower, irp, minor.into()) } {
        // SAFETY: acquired above with this tag.
        unsafe { device.release_remove_lock(tag) };
        return status;
    }
    let status = match u32::from(minor) {
        IRP_MN_START_DEVICE => {
            // SAFETY: the IRP is at this driver.
            let status = unsafe { start(device, irp, lower) };
            // SAFETY: the IRP is at this driver again.
            unsafe { complete(irp, status) }
        }
        // SAFETY: the IRP is at this driver.
        IRP_MN_QUERY_STOP_DEVICE => unsafe { complete(irp, STATUS_UNSUCCESSFUL) },
        IRP_MN_SURPRISE_REMOVAL => {
            device.disable_interface();
            device.disconnect_interrupt();
            // SAFETY: the IRP is at this driver.
            unsafe { succeed_and_pass_down(irp, lower) }
        }
        IRP_MN_QUERY_REMOVE_DEVICE | IRP_MN_CANCEL_REMOVE_DEVICE | IRP_MN_CANCEL_STOP_DEVICE => {
            // SAFETY: the IRP is at this driver.
            unsafe { succeed_and_pass_down(irp, lower) }
        }
        IRP_MN_REMOVE_DEVICE => {
            device.disable_interface();
            device.disconnect_interrupt();
            // SAFETY: the IRP is at this driver.
            let status = unsafe { succeed_and_pass_down(irp, lower) };
            // SAFETY: acquired above with this tag.
            unsafe { device.release_remove_lock_and_wait(tag) };
            // SAFETY: nobody uses the device any more.
            unsafe { delete(device, fdo, lower) };
            return status;
        }
        // SAFETY: the IRP is at this driver.
        _ => unsafe { pass_down(irp, lower) },
    };
    // SAFETY: acquired above with this tag.
    unsafe { device.release_remove_lock(tag) };
    status
}

/// What the driver itself does with the request. Not inlined, for the same reasons as the requests' own part.
///
/// # Safety
/// As for [`TestDriver::plug_and_play`].
#[inline(never)]
unsafe fn own_part<D: TestDriver>(device: Device<D>, lower: PDEVICE_OBJECT, irp: PIRP, minor: u32) -> Option<NTSTATUS> {
    // SAFETY: promised by the caller.
    let status = unsafe { D::plug_and_play(device, lower, irp, minor) };
    core::hint::black_box(status)
}

/// # Safety
/// As for `pass_down`.
unsafe fn succeed_and_pass_down(irp: PIRP, lower: PDEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: promised by the caller.
    unsafe { set_status(irp, STATUS_SUCCESS) };
    // SAFETY: as above.
    unsafe { pass_down(irp, lower) }
}

/// Starts the device, the lower drivers first.
///
/// # Safety
/// The IRP must be the start request, at this driver and owned by the caller, who has it back afterwards.
unsafe fn start<D: TestDriver>(device: Device<D>, irp: PIRP, lower: PDEVICE_OBJECT) -> NTSTATUS {
    // SAFETY: promised by the caller.
    let status = unsafe { forward_and_wait(irp, lower) };
    if !NT_SUCCESS(status) {
        return status;
    }
    // SAFETY: the IRP is at this driver again.
    let stack = unsafe { stack_location(irp) };
    // SAFETY: as above.
    let parameters = unsafe { &(*stack).Parameters };
    // SAFETY: the minor function says which member of the union is in use.
    let list = unsafe { parameters.StartDevice.AllocatedResourcesTranslated };
    // SAFETY: the list is the PnP manager's.
    let resources = unsafe { Resources::find(list) };
    device.start_hardware(&resources)
}

impl<D: TestDriver> Device<D> {
    fn start_hardware(self, resources: &Resources) -> NTSTATUS {
        let (Some(memory), Some(interrupt)) = (&resources.memory, &resources.interrupt) else {
            return STATUS_DEVICE_CONFIGURATION_ERROR;
        };
        if SIZE_T::from(memory.length) < REGISTERS_SIZE {
            return STATUS_DEVICE_CONFIGURATION_ERROR;
        }
        // SAFETY: the PnP manager gave the device this range.
        let registers = unsafe { MmMapIoSpaceEx(memory.start, REGISTERS_SIZE, PAGE_READWRITE | PAGE_NOCACHE) };
        if registers.is_null() {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        // SAFETY: neither is the interrupt connected nor the interface enabled: nobody else looks at the field.
        unsafe { (*self.extension()).registers = registers.cast() };
        let status = self.connect_interrupt(interrupt);
        if !NT_SUCCESS(status) {
            self.unmap_registers();
            return status;
        }
        // SAFETY: AddDevice registered the interface.
        unsafe { IoSetDeviceInterfaceState(self.interface(), 1) }
    }

    /// That the interface is not enabled is no failure.
    fn disable_interface(self) {
        // SAFETY: AddDevice registered the interface.
        let _ = unsafe { IoSetDeviceInterfaceState(self.interface(), 0) };
    }

    fn unmap_registers(self) {
        // SAFETY: the caller sees to it that nobody uses the registers.
        let registers = unsafe { &mut (*self.extension()).registers };
        if !registers.is_null() {
            // SAFETY: mapped by START with this length.
            unsafe { MmUnmapIoSpace(registers.cast(), REGISTERS_SIZE) };
            *registers = core::ptr::null_mut();
        }
    }
}

/// Takes the device out of its stack and deletes it.
///
/// # Safety
/// Nobody else may use the device any more; it is gone when this returns.
unsafe fn delete<D: TestDriver>(device: Device<D>, fdo: PDEVICE_OBJECT, lower: PDEVICE_OBJECT) {
    device.unmap_registers();
    // SAFETY: AddDevice registered the interface, which allocated the string.
    unsafe { RtlFreeUnicodeString(device.interface()) };
    // SAFETY: AddDevice attached to it.
    unsafe { IoDetachDevice(lower) };
    // SAFETY: promised by the caller.
    unsafe { IoDeleteDevice(fdo) };
}
