//! The end of a device extension.

use core::ptr::NonNull;

use super::{Extension, Header, Object, add_device::delete};
use crate::{
    device_memory::Mapping,
    dpc::flush_queued_dpcs,
    error::Error,
    irql::{Irql, Passive},
};

/// Completes every IRP in the device's queues, and every one that still gets there, with `error`: the remove lock is not free before.
pub(crate) fn close_queues(header: &Header, error: Error, irql: &mut Irql<Passive>) {
    for object in header.objects() {
        match object {
            // SAFETY: the queue lies in the extension, as the header does.
            Object::Queue(queue) => unsafe { queue.as_ref() }.close(error, irql),
            // SAFETY: as above.
            Object::StartIo(queue) => unsafe { queue.as_ref() }.close(error, irql),
            Object::Interrupt(_)
            | Object::CommonBuffer(_)
            | Object::Timer(_)
            | Object::WorkItem(_)
            | Object::Memory(_) => {}
        }
    }
}

/// Disconnects what the driver has left connected: the hardware goes, or is taken away.
pub(crate) fn disconnect_interrupts(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects() {
        if let Object::Interrupt(connection) = object {
            // SAFETY: the interrupt lies in the extension, as the header does.
            unsafe { connection.as_ref() }.disconnect(irql);
        }
    }
}

/// Takes every timer back. One whose time was up before may have queued its DPC.
fn cancel_timers(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects() {
        if let Object::Timer(timer) = object {
            // SAFETY: the timer lies in the extension, as the header does.
            unsafe { timer.as_ref() }.cancel(irql);
        }
    }
}

/// What is called for each range of device memory that the driver may have mapped.
type MemoryRoutine = unsafe fn(&Mapping, &mut Irql<Passive>);

/// Calls `routine` for the device's memory.
///
/// # Safety
/// As [`Mapping`]'s routines demand.
pub(super) unsafe fn for_memory(header: &Header, routine: MemoryRoutine, irql: &mut Irql<Passive>) {
    for object in header.objects() {
        if let Object::Memory(mapping) = object {
            // SAFETY: the mapping lies in the extension, as the header does.
            let mapping = unsafe { mapping.as_ref() };
            // SAFETY: promised by the caller.
            unsafe { routine(mapping, irql) };
        }
    }
}

/// Frees what is allocated for the device, which must have lost the bus, or be idle.
pub(crate) fn free_common_buffers(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects() {
        if let Object::CommonBuffer(buffer) = object {
            // SAFETY: the buffer lies in the extension, as the header does.
            unsafe { buffer.as_ref() }.free(irql);
        }
    }
}

/// Frees the work items: the driver's, and the safe layer's own.
///
/// # Safety
/// None may be queued, nor be queued any more.
pub(super) unsafe fn free_work_items(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects() {
        if let Object::WorkItem(item) = object {
            // SAFETY: the work item lies in the extension, as the header does.
            let item = unsafe { item.as_ref() };
            // SAFETY: promised by the caller.
            unsafe { item.free(irql) };
        }
    }
    // SAFETY: promised by the caller.
    unsafe { header.device_irps.free(irql) };
}

/// Makes the system let go of everything in the extension, drops the driver's value and deletes the device object.
///
/// Order: the interrupts are disconnected, so that no ISR runs; no new DPC can be queued and no timer set; every DPC that is queued runs, and those that run
/// return; nobody uses the memory that the device shared, and the bus driver has taken the bus from that; only then the value is dropped.
///
/// # Safety
/// The lower drivers must have handled `IRP_MN_REMOVE_DEVICE`, and `IoReleaseRemoveLockAndWait` have returned: no request of the device is
/// left and no dispatch routine uses it. Nothing of the extension may be used afterwards.
pub(crate) unsafe fn tear_down<T: 'static>(extension: NonNull<Extension<T>>, irql: &mut Irql<Passive>) {
    // SAFETY: the extension exists until `delete` below.
    let header = unsafe { Extension::header(extension) };
    disconnect_interrupts(header, irql);
    header.set_open(false);
    // KeFlushQueuedDpcs speaks of the DPCs that are queued when it is called. The first call waits for all that may have seen the device open,
    // the second for those which they queued, themselves or by a timer: these see it closed.
    flush_queued_dpcs(irql);
    cancel_timers(header, irql);
    flush_queued_dpcs(irql);
    free_common_buffers(header, irql);
    // SAFETY: each one that was queued had the remove lock until it had run; it is refused to those that come now.
    unsafe { free_work_items(header, irql) };

    // SAFETY: no reference is made.
    let slot = unsafe { Extension::data_slot(extension) };
    // SAFETY: AddDevice initialised the value; no callback that could use it can run any more.
    unsafe { core::ptr::drop_in_place(slot) };
    // SAFETY: nobody else is left.
    let interface = unsafe { &mut *header.interface.get() };
    interface.free(irql);
    // SAFETY: the extension is not used below.
    unsafe { delete(header.device(), header.lower.device(), irql) };
}
