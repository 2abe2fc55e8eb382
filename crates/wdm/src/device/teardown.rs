//! The end of a device extension.

use core::ptr::NonNull;

use wdk_sys::ntddk::KeRemoveQueueDpc;

use super::{DeviceExtension, Extension, Header, Object, add_device::delete};
use crate::{
    dpc::flush_queued_dpcs,
    irql::{Irql, Passive},
    status::Status,
};

/// Completes every IRP in the device's queues, and every one that still gets there, with `status`: the remove lock is not free before.
pub(crate) fn close_queues(header: &Header, status: Status, irql: &mut Irql<Passive>) {
    for object in header.objects() {
        if let Object::Queue(queue) = object {
            // SAFETY: the queue lies in the extension, as the header does.
            unsafe { queue.as_ref() }.close(status, irql);
        }
    }
}

/// Makes the system let go of everything in the extension, drops the driver's value and deletes the device object.
///
/// Order: no new DPC can be queued; the interrupts are disconnected, so that no ISR runs; the DPCs are taken off their queues,
/// and those that run have returned; only then the value is dropped.
///
/// # Safety
/// `IRP_MN_REMOVE_DEVICE` must have been passed down, and `IoReleaseRemoveLockAndWait` have returned: no request of the device is
/// left and no dispatch routine uses it. Nothing of the extension may be used afterwards.
pub(crate) unsafe fn tear_down<T: DeviceExtension>(extension: NonNull<Extension<T>>, irql: &mut Irql<Passive>) {
    // SAFETY: the extension exists until `delete` below.
    let header = unsafe { Extension::header(extension) };
    header.set_open(false);
    for object in header.objects() {
        if let Object::Interrupt(connection) = object {
            // SAFETY: the interrupt lies in the extension.
            unsafe { connection.as_ref() }.disconnect(irql);
        }
    }
    while remove_queued_dpcs(header) {
        flush_queued_dpcs(irql);
    }
    // DPCs that had begun to run when the queues were looked at have returned after this.
    flush_queued_dpcs(irql);

    // SAFETY: no reference is made.
    let slot = unsafe { Extension::data_slot(extension) };
    // SAFETY: AddDevice initialised the value; no callback that could use it can run any more.
    unsafe { core::ptr::drop_in_place(slot) };
    // SAFETY: nobody else is left.
    let interface = unsafe { &mut *header.interface.get() };
    interface.free(irql);
    // SAFETY: the extension is not used below.
    unsafe { delete(header.device(), header.lower(), irql) };
}

/// Takes the device's DPCs off their queues; whether there was any.
fn remove_queued_dpcs(header: &Header) -> bool {
    let mut any = false;
    for object in header.objects() {
        if let Object::Dpc(dpc) = object {
            // SAFETY: the DPC is initialised and lies in the extension.
            any |= unsafe { KeRemoveQueueDpc(dpc.as_ptr()) } != 0;
        }
    }
    any
}
