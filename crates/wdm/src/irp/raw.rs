//! What `wdm.h` defines as inline functions and macros over the fields of an IRP.

use core::ptr::NonNull;

use wdk_sys::{IO_STACK_LOCATION, IRP, IRP_PAGING_IO, NT_ERROR, SL_PENDING_RETURNED, ntddk::IofCompleteRequest};

use crate::{
    device::{Header, Moment},
    status::Status,
    thread::KERNEL_MODE,
};

/// `IoGetCurrentIrpStackLocation`, to be read.
///
/// # Safety
/// The IRP must be at this driver, and stay so for `'a`.
pub(crate) const unsafe fn current_stack_location<'a>(irp: NonNull<IRP>) -> &'a IO_STACK_LOCATION {
    // SAFETY: promised by the caller.
    let slot = unsafe { current_stack_location_slot(irp) };
    // SAFETY: the slot lies in the IRP.
    let location = unsafe { *slot };
    // SAFETY: an IRP that is at a driver has a current stack location, which is that driver's.
    unsafe { &*location }
}

/// Where the IRP keeps the address of its current stack location.
///
/// # Safety
/// The IRP must be valid.
pub(super) const unsafe fn current_stack_location_slot(irp: NonNull<IRP>) -> *mut *mut IO_STACK_LOCATION {
    // SAFETY: only an address is computed, within the IRP.
    unsafe {
        &raw mut (*irp.as_ptr())
            .Tail
            .Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    }
}

/// `IoGetNextIrpStackLocation`: that of the next-lower driver.
///
/// # Safety
/// The IRP must be at this driver and owned, with a stack location for the lower driver.
pub(super) const unsafe fn next_stack_location(irp: NonNull<IRP>) -> *mut IO_STACK_LOCATION {
    // SAFETY: promised by the caller.
    let slot = unsafe { current_stack_location_slot(irp) };
    // SAFETY: the slot lies in the IRP.
    let current = unsafe { slot.read() };
    // SAFETY: the stack locations are an array, and the lower driver's is one before the current one.
    unsafe { current.sub(1) }
}

/// `Irp->IoStatus.Status`.
///
/// # Safety
/// The IRP must be at this driver and owned.
pub(crate) const unsafe fn status(irp: NonNull<IRP>) -> Status {
    // SAFETY: promised by the caller.
    let status_block = unsafe { &(*irp.as_ptr()).IoStatus };
    // SAFETY: every bit pattern is a status; a driver's IRP has this member of the union in use.
    Status::from_raw(unsafe { status_block.__bindgen_anon_1.Status })
}

/// `Irp->IoStatus.Information`.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(crate) const unsafe fn information(irp: NonNull<IRP>) -> usize {
    // SAFETY: promised by the caller.
    let status_block = unsafe { &(*irp.as_ptr()).IoStatus };
    #[expect(clippy::cast_possible_truncation, reason = "a ULONG_PTR has as many bits")]
    let information = status_block.Information as usize;
    information
}

/// Sets `Irp->IoStatus`. `information` is reported with a success or a warning; an error has no output.
///
/// # Safety
/// The IRP must be at this driver and owned.
pub(crate) unsafe fn set_status(irp: NonNull<IRP>, status: Status, information: usize) {
    // SAFETY: promised by the caller.
    let status_block = unsafe { &mut (*irp.as_ptr()).IoStatus };
    status_block.__bindgen_anon_1.Status = status.as_raw();
    status_block.Information = if NT_ERROR(status.as_raw()) {
        0
    } else {
        information as u64
    };
}

/// Sets `Irp->IoStatus.Status`, and leaves `Information` as it is: how an IRP is to be completed that stays in its queue until then.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(crate) unsafe fn set_outcome(irp: NonNull<IRP>, status: Status) {
    // SAFETY: promised by the caller.
    let status_block = unsafe { &mut (*irp.as_ptr()).IoStatus };
    status_block.__bindgen_anon_1.Status = status.as_raw();
}

/// Sets `Irp->IoStatus.Information`.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(super) unsafe fn set_information(irp: NonNull<IRP>, information: usize) {
    // SAFETY: promised by the caller.
    unsafe { (*irp.as_ptr()).IoStatus.Information = information as u64 };
}

/// `Irp->Cancel`, which `IoCancelIrp` sets at any time.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(crate) unsafe fn is_cancelled(irp: NonNull<IRP>) -> bool {
    // SAFETY: only an address is computed, within the IRP.
    let cancel = unsafe { &raw const (*irp.as_ptr()).Cancel };
    // SAFETY: the byte is in the IRP; others write it meanwhile, so it is read once.
    unsafe { cancel.read_volatile() != 0 }
}

/// Whether a program has made the request, and not a driver: `Irp->RequestorMode`.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(crate) const unsafe fn is_of_a_program(irp: NonNull<IRP>) -> bool {
    // SAFETY: promised by the caller.
    unsafe { (*irp.as_ptr()).RequestorMode != KERNEL_MODE }
}

/// Whether the request is paging I/O, which the memory manager makes: `IRP_PAGING_IO` in `Irp->Flags`.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(crate) const unsafe fn is_paging_io(irp: NonNull<IRP>) -> bool {
    // SAFETY: promised by the caller.
    unsafe { (*irp.as_ptr()).Flags & IRP_PAGING_IO != 0 }
}

/// `IoMarkIrpPending`.
///
/// # Safety
/// The IRP must be at this driver, and owned.
pub(crate) unsafe fn mark_pending(irp: NonNull<IRP>) {
    // SAFETY: promised by the caller.
    let slot = unsafe { current_stack_location_slot(irp) };
    // SAFETY: the slot lies in the IRP.
    let location = unsafe { slot.read() };
    // SAFETY: the current stack location belongs to this driver.
    let control = unsafe { &mut (*location).Control };
    *control |= PENDING_RETURNED;
}

/// Whether [`mark_pending`] was called for the IRP at this driver.
///
/// # Safety
/// The IRP must be at this driver, and owned.
pub(super) const unsafe fn is_marked_pending(irp: NonNull<IRP>) -> bool {
    // SAFETY: promised by the caller.
    unsafe { current_stack_location(irp) }.Control & PENDING_RETURNED != 0
}

/// `SL_PENDING_RETURNED`, as `IO_STACK_LOCATION::Control` has it.
#[expect(clippy::cast_possible_truncation, reason = "the control flags have 8 bits")]
const PENDING_RETURNED: u8 = SL_PENDING_RETURNED as u8;

/// The first two words of `Irp->Tail.Overlay.DriverContext`, which are the driver's while it has the IRP, in a cancel-safe queue too. A device
/// queue overwrites them.
///
/// # Safety
/// The IRP must be at this driver, and owned or in a queue of this driver that is locked.
pub(crate) const unsafe fn note(irp: NonNull<IRP>) -> [u64; 2] {
    // SAFETY: promised by the caller.
    let slot = unsafe { note_slot(irp) };
    // SAFETY: the slot lies in the IRP; every bit pattern is a number.
    unsafe { slot.read() }
}

/// Clears [`note`]. Whoever had the IRP before, another driver or a device queue, has used those words for itself, and may have left addresses there.
///
/// # Safety
/// The IRP must be at this driver, and owned.
pub(crate) unsafe fn clear_note(irp: NonNull<IRP>) {
    // SAFETY: promised by the caller.
    let slot = unsafe { note_slot(irp) };
    // SAFETY: the slot lies in the IRP and is this driver's.
    unsafe { slot.write([0; 2]) };
}

/// Where [`note`] lies.
///
/// # Safety
/// The IRP must be valid.
pub(super) const unsafe fn note_slot(irp: NonNull<IRP>) -> *mut [u64; 2] {
    // SAFETY: the words lie within the IRP.
    unsafe { irp.as_ptr().byte_add(ntlayout::irp::DRIVER_CONTEXT).cast() }
}

/// When the IRP came to the device.
///
/// # Safety
/// The IRP must be in a cancel-safe queue of this driver that is locked, or just have been taken out of one.
pub(crate) const unsafe fn arrival(irp: NonNull<IRP>) -> Moment {
    // SAFETY: promised by the caller.
    let slot = unsafe { arrival_slot(irp) };
    // SAFETY: the slot lies in the IRP; a cancel-safe queue writes it when the IRP is put in.
    Moment::from_raw(unsafe { slot.read() })
}

/// Writes what [`arrival`] says.
///
/// # Safety
/// The IRP must be at this driver, and owned.
pub(crate) const unsafe fn set_arrival(irp: NonNull<IRP>, arrived: Moment) {
    // SAFETY: promised by the caller.
    let slot = unsafe { arrival_slot(irp) };
    // SAFETY: the slot lies in the IRP, and is this driver's.
    unsafe { slot.write(arrived.as_raw()) };
}

/// The third word of `DriverContext`, which is a cancel-safe queue's of this driver. The system's queue has the fourth.
///
/// # Safety
/// The IRP must be valid.
const unsafe fn arrival_slot(irp: NonNull<IRP>) -> *mut u64 {
    // SAFETY: the word lies within the IRP.
    unsafe { irp.as_ptr().byte_add(ntlayout::irp::DRIVER_CONTEXT + 16).cast() }
}

/// Completes an IRP for which no remove lock is to be given back.
///
/// # Safety
/// The IRP must be at this driver and owned; the caller gives it up. At most `DISPATCH_LEVEL`, no spin lock held.
pub(crate) unsafe fn finish(irp: NonNull<IRP>, status: Status) {
    // SAFETY: the IRP is owned by the caller.
    unsafe { set_status(irp, status, 0) };
    // SAFETY: the IRP is owned by the caller, who gives it up; nobody touches it afterwards. IO_NO_INCREMENT: no priority boost.
    unsafe { IofCompleteRequest(irp.as_ptr(), 0) };
}

/// Completes the IRP with `status` and gives its remove lock back.
///
/// # Safety
/// As [`Irp::new`](super::Irp::new) demands of what it takes over, and the caller gives it up. At most `DISPATCH_LEVEL`, no spin lock held.
pub(crate) unsafe fn complete(irp: NonNull<IRP>, header: NonNull<Header>, status: Status, information: usize) {
    // SAFETY: the IRP is owned by the caller.
    unsafe { set_status(irp, status, information) };
    // SAFETY: promised by the caller.
    unsafe { complete_unchanged(irp, header) };
}

/// Completes the IRP with the status block that is in it, and gives its remove lock back; the status.
///
/// # Safety
/// As [`complete`].
pub(crate) unsafe fn complete_unchanged(irp: NonNull<IRP>, header: NonNull<Header>) -> Status {
    // SAFETY: the IRP is owned by the caller.
    let status = unsafe { status(irp) };
    // SAFETY: the IRP is owned by the caller, who gives it up; nobody touches it afterwards. IO_NO_INCREMENT: no priority boost.
    unsafe { IofCompleteRequest(irp.as_ptr(), 0) };
    // SAFETY: the remove lock keeps the header until it is released.
    let remove_lock = unsafe { &(*header.as_ptr()).remove_lock };
    // SAFETY: it was acquired for this IRP, whose address serves as a tag only.
    unsafe { remove_lock.release(irp.as_ptr().cast()) };
    status
}
