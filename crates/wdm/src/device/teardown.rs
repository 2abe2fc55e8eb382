//! The end of a device extension.

use core::ptr::NonNull;

use super::{Extension, Header, Object, add_device::delete};
use crate::{
    device_memory::Mapping,
    dpc::{flush_queued_dpcs, go_to_every_processor},
    error::Error,
    irql::{Irql, Passive},
};

/// Completes every IRP in the device's queues, and every one that still gets there, with `error`: the remove lock is not free before.
pub(crate) fn close_queues(header: &Header, error: Error, irql: &mut Irql<Passive>) {
    for object in header.objects.iter() {
        match object {
            // SAFETY: the queue is the header's, and is there until teardown.
            Object::Queue(queue) => unsafe { queue.as_ref() }.close(error, irql),
            // SAFETY: as above.
            Object::StartIo(queue) => unsafe { queue.as_ref() }.close(error, irql),
            Object::Interrupt(_)
            | Object::CommonBuffer(_)
            | Object::Timer(_)
            | Object::WorkItem(_)
            | Object::Memory(_)
            | Object::ThreadedDpc(_)
            | Object::NothingToClose => {}
        }
    }
}

/// Disconnects what the driver has left connected: the hardware goes, or is taken away.
pub(crate) fn disconnect_interrupts(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects.iter() {
        if let Object::Interrupt(connection) = object {
            // SAFETY: the interrupt is the header's, and is there until teardown.
            unsafe { connection.as_ref() }.disconnect(irql);
        }
    }
}

/// Takes every timer back. One whose time was up before may have queued its DPC.
fn cancel_timers(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects.iter() {
        if let Object::Timer(timer) = object {
            // SAFETY: the timer is the header's, and is there until teardown.
            unsafe { timer.as_ref() }.cancel(irql);
        }
    }
}

/// Waits until every DPC of the device that is queued, or runs, has run; a threaded one that has not begun does not run.
fn end_dpcs(header: &Header, irql: &mut Irql<Passive>) {
    flush_queued_dpcs(irql);
    let mut has_threaded = false;
    for object in header.objects.iter() {
        if let Object::ThreadedDpc(dpc) = object {
            // SAFETY: the DPC is the header's, and is there until teardown.
            unsafe { dpc.as_ref() }.remove();
            has_threaded = true;
        }
    }
    if has_threaded {
        go_to_every_processor(irql);
    }
}

/// What is called for each range of device memory that the driver may have mapped.
type MemoryRoutine = unsafe fn(&Mapping, &mut Irql<Passive>);

/// Calls `routine` for the device's memory.
///
/// # Safety
/// As [`Mapping`]'s routines demand.
pub(super) unsafe fn for_memory(header: &Header, routine: MemoryRoutine, irql: &mut Irql<Passive>) {
    for object in header.objects.iter() {
        if let Object::Memory(mapping) = object {
            // SAFETY: the mapping is the header's, and is there until teardown.
            let mapping = unsafe { mapping.as_ref() };
            // SAFETY: promised by the caller.
            unsafe { routine(mapping, irql) };
        }
    }
}

/// Frees what is allocated for the device, which must have lost the bus, or be idle.
pub(crate) fn free_common_buffers(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects.iter() {
        if let Object::CommonBuffer(buffer) = object {
            // SAFETY: the buffer is the header's, and is there until teardown.
            unsafe { buffer.as_ref() }.free(irql);
        }
    }
}

/// Frees the work items: the driver's, and the safe layer's own.
///
/// # Safety
/// None may be queued, nor be queued any more.
unsafe fn free_work_items(header: &Header, irql: &mut Irql<Passive>) {
    for object in header.objects.iter() {
        if let Object::WorkItem(item) = object {
            // SAFETY: the work item is the header's, and is there until teardown.
            let item = unsafe { item.as_ref() };
            // SAFETY: promised by the caller.
            unsafe { item.free(irql) };
        }
    }
    // SAFETY: promised by the caller.
    unsafe { header.device_irps.free(irql) };
}

/// Makes the system let go of the device's kernel objects.
///
/// Order: the interrupts are disconnected, so that no ISR runs; no new DPC can be queued and no timer set; every DPC that is queued runs, unless it is a
/// threaded one, and those that run return; nobody uses the memory that the device shared.
///
/// # Safety
/// No request of the device may be left, and no dispatch routine use it. The device must have lost the bus, or never have been started.
unsafe fn close_objects(header: &Header, irql: &mut Irql<Passive>) {
    disconnect_interrupts(header, irql);
    header.set_open(false);
    // The first call waits for all DPCs that may have seen the device open, the second for those which they queued, themselves or by a timer:
    // these see it closed.
    end_dpcs(header, irql);
    cancel_timers(header, irql);
    end_dpcs(header, irql);
    free_common_buffers(header, irql);
    // SAFETY: each one that was queued had the remove lock until it had run; it is refused to those that come now.
    unsafe { free_work_items(header, irql) };
}

/// The end of an extension, but for the device object: closes the kernel objects, drops the driver's value, if it is initialised, and frees the objects.
///
/// Its `Drop` may use them still. They are closed: nothing can be queued or set.
///
/// # Safety
/// As [`close_objects`]. Nothing of the extension but its header may be used afterwards.
pub(super) unsafe fn end<T: 'static>(extension: NonNull<Extension<T>>, is_initialised: bool, irql: &mut Irql<Passive>) {
    // SAFETY: the extension exists.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: promised by the caller.
    unsafe { close_objects(header, irql) };
    if is_initialised {
        // SAFETY: no reference is made.
        let slot = unsafe { Extension::data_slot(extension) };
        // SAFETY: the value is initialised; no callback that could use it can run any more.
        unsafe { core::ptr::drop_in_place(slot) };
    }
    // SAFETY: they are closed, and the handles were in the value.
    unsafe { header.objects.free(irql) };
    header.cleanups.free(irql);
    // SAFETY: nobody else is left.
    let interface = unsafe { &mut *header.interface.get() };
    interface.free(irql);
}

/// Ends the extension and deletes the device object.
///
/// # Safety
/// The lower drivers must have handled `IRP_MN_REMOVE_DEVICE`; `IoReleaseRemoveLockAndWait` must have returned, so that no request of the device is left, and
/// then `DispatchCalls::wait`, so that no dispatch routine uses it. Nothing of the extension may be used afterwards.
pub(crate) unsafe fn tear_down<T: 'static>(extension: NonNull<Extension<T>>, irql: &mut Irql<Passive>) {
    // SAFETY: promised by the caller. The bus driver has taken the bus from the device.
    unsafe { end(extension, true, irql) };
    // SAFETY: the extension exists until `delete`.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: the extension is not used below.
    unsafe { delete(header.device(), header.lower.device(), irql) };
}
