//! Lists of IRPs, linked by the entry in each that belongs to the driver which has it.

use wdk_sys::{IRP, LIST_ENTRY};

use super::list;

pub(crate) use super::list::initialize;

/// Appends the IRP.
///
/// # Safety
/// The list must be initialised and the caller's alone; the IRP must be this driver's and in no list.
pub(crate) unsafe fn append(head: *mut LIST_ENTRY, irp: *mut IRP) {
    // SAFETY: the IRP is this driver's.
    let entry = unsafe { list_entry(irp) };
    // SAFETY: promised by the caller.
    unsafe { list::append(head, entry) };
}

/// Takes the IRP out of its list.
///
/// # Safety
/// The IRP must be in a list, which must be the caller's alone.
pub(crate) unsafe fn unlink(irp: *mut IRP) {
    // SAFETY: the IRP is this driver's.
    let entry = unsafe { list_entry(irp) };
    // SAFETY: promised by the caller.
    unsafe { list::unlink(entry) };
}

/// The IRP behind `irp`, or the first if that is null; null at the end.
///
/// # Safety
/// The list must be initialised and the caller's alone; `irp` must be null or in it.
pub(crate) unsafe fn next(head: *mut LIST_ENTRY, irp: *mut IRP) -> *mut IRP {
    let before = if irp.is_null() {
        head
    } else {
        // SAFETY: the IRP is in the list.
        unsafe { list_entry(irp) }
    };
    // SAFETY: promised by the caller.
    let entry = unsafe { list::next(head, before) };
    entry.map_or(core::ptr::null_mut(), |entry| {
        // SAFETY: every entry of the list but its head lies at this offset in an IRP.
        unsafe { entry.byte_sub(ntlayout::irp::LIST_ENTRY).cast() }
    })
}

/// `Irp->Tail.Overlay.ListEntry`.
///
/// # Safety
/// The IRP must be valid.
const unsafe fn list_entry(irp: *mut IRP) -> *mut LIST_ENTRY {
    // SAFETY: only an address is computed, within the IRP.
    unsafe { &raw mut (*irp).Tail.Overlay.__bindgen_anon_2.ListEntry }
}
