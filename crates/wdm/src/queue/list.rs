//! Doubly linked lists of `LIST_ENTRY`, as the WDK's inline functions make them (`InitializeListHead`, `InsertTailList`, …).

use wdk_sys::LIST_ENTRY;

/// Makes `head` that of an empty list. DDI: `InitializeListHead`.
///
/// # Safety
/// `head` must be valid for writes, and stay in place while the list is used.
pub(crate) unsafe fn initialize(head: *mut LIST_ENTRY) {
    let empty = LIST_ENTRY {
        Flink: head,
        Blink: head,
    };
    // SAFETY: promised by the caller.
    unsafe { head.write(empty) };
}

/// Puts `entry` behind `before`, which is an entry of the list, or its head. DDI: `InsertHeadList`, for a head.
///
/// # Safety
/// The list must be initialised and the caller's alone; `entry` must be valid, in no list, and stay in place while it is in this one.
pub(super) unsafe fn insert_behind(before: *mut LIST_ENTRY, entry: *mut LIST_ENTRY) {
    // SAFETY: the list is the caller's.
    let behind = unsafe { (*before).Flink };
    let links = LIST_ENTRY {
        Flink: behind,
        Blink: before,
    };
    // SAFETY: the entry is free to be written.
    unsafe { entry.write(links) };
    // SAFETY: as for `behind`.
    unsafe { (*behind).Blink = entry };
    // SAFETY: as for `behind`.
    unsafe { (*before).Flink = entry };
}

/// Appends `entry`. DDI: `InsertTailList`.
///
/// # Safety
/// As for [`insert_behind`].
pub(super) unsafe fn append(head: *mut LIST_ENTRY, entry: *mut LIST_ENTRY) {
    // SAFETY: the list is the caller's.
    let last = unsafe { (*head).Blink };
    // SAFETY: promised by the caller; the last entry, or the head, is of the list.
    unsafe { insert_behind(last, entry) };
}

/// Takes `entry` out of its list. DDI: `RemoveEntryList`.
///
/// # Safety
/// The entry must be in a list, which must be the caller's alone.
pub(super) unsafe fn unlink(entry: *mut LIST_ENTRY) {
    // SAFETY: the entry is in the list.
    let LIST_ENTRY {
        Flink: next,
        Blink: previous,
    } = unsafe { entry.read() };
    // SAFETY: the list is the caller's.
    unsafe { (*previous).Flink = next };
    // SAFETY: as above.
    unsafe { (*next).Blink = previous };
}

/// The entry behind `before`, which is an entry of the list, or its head; `None` at the end.
///
/// # Safety
/// The list must be initialised and the caller's alone.
pub(super) unsafe fn next(head: *mut LIST_ENTRY, before: *mut LIST_ENTRY) -> Option<*mut LIST_ENTRY> {
    // SAFETY: the list is the caller's.
    let entry = unsafe { (*before).Flink };
    (entry != head).then_some(entry)
}
