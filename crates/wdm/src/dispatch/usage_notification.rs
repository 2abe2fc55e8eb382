//! `IRP_MN_DEVICE_USAGE_NOTIFICATION` at a filter: a paging file, a hibernation file or a dump file is put on the device, or taken off it.
//!
//! A filter handles it as [its page](https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-mn-device-usage-notification) and
//! [Handling PnP Paging Requests](https://learn.microsoft.com/windows-hardware/drivers/storage/handling-pnp-paging-requests) have it, with one difference:
//! it does not set the status. Whether there can be such a file is the function driver's to say, who may be above.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::{
    DEVICE_OBJECT, DO_POWER_INRUSH, DO_POWER_PAGABLE, IRP,
    ntddk::{KeEnterCriticalRegion, KeLeaveCriticalRegion},
};

use crate::{
    device::{Header, PnpState, SpecialFile},
    error::Error,
    irp::{complete, complete_unchanged, current_stack_location, forward_and_wait, pass_on},
    irql::{Irql, Passive},
    status::Status,
};

/// Has the lower drivers answer, and counts the file if they have taken it, or let go of it. A device that was never started, or is
/// gone, takes no paging file.
///
/// `DO_POWER_PAGABLE` is cleared when they have taken the first one, and set before they learn that the last one is gone: a driver must have it where
/// one below does. It is set only where a file has cleared it, and not left set where the driver below does not have it: see
/// [Setting Device Object Flags for Power Management](https://learn.microsoft.com/windows-hardware/drivers/kernel/setting-device-object-flags-for-power-management).
/// Nothing of a driver of this crate is paged, so that is all.
///
/// # Safety
/// The IRP must be such a request, owned, with the remove lock of `header` acquired for it; the caller gives it up.
pub(super) unsafe fn usage_notification(header: &Header, irp: NonNull<IRP>, irql: &mut Irql<Passive>) -> Status {
    // SAFETY: the IRP is at this driver.
    let stack = unsafe { current_stack_location(irp) };
    // SAFETY: the minor function says which member of the union is in use.
    let usage = unsafe { stack.Parameters.UsageNotification };
    let in_path = usage.InPath != 0;
    let Some(file) = SpecialFile::from_raw(usage.Type) else {
        // SAFETY: the IRP is owned, with the remove lock acquired, and given up.
        return unsafe { pass_on(irp, header) };
    };
    if in_path && file == SpecialFile::Paging && header.state() != PnpState::Started {
        let not_ready = Error::DEVICE_NOT_READY.into();
        // SAFETY: as above.
        unsafe { complete(irp, NonNull::from(header), not_ready, 0) };
        return not_ready;
    }
    // SAFETY: the device object is ours.
    let own = unsafe { flags(header.device()) };

    // The thread may be a program's, which can be suspended: not with the lock.
    // SAFETY: at PASSIVE_LEVEL; left below, by the same thread.
    unsafe { KeEnterCriticalRegion() };
    header.special_files.with(irql, |irql, files| {
        let may_be_pagable = files.cleared && own.load(Ordering::Relaxed) & DO_POWER_INRUSH == 0;
        let was_set = !in_path && files.is_last(file) && may_be_pagable;
        if was_set {
            own.fetch_or(DO_POWER_PAGABLE, Ordering::Relaxed);
        }
        // SAFETY: the IRP is owned.
        let status = unsafe { forward_and_wait(irp, header, irql) };
        if status.is_success() {
            files.count(file, in_path);
            let hibernates = files.has(SpecialFile::Hibernation);
            header.has_hibernation_file.store(hibernates, Ordering::Relaxed);
        }
        if in_path && status.is_success() {
            files.cleared |= own.fetch_and(!DO_POWER_PAGABLE, Ordering::Relaxed) & DO_POWER_PAGABLE != 0;
        } else if was_set && status.is_success() && is_pagable_below(header) {
            files.cleared = false;
        } else if was_set {
            own.fetch_and(!DO_POWER_PAGABLE, Ordering::Relaxed);
        }
    });
    // SAFETY: entered above.
    unsafe { KeLeaveCriticalRegion() };
    // SAFETY: the IRP is at this driver again, with the lower drivers' answer, and given up.
    unsafe { complete_unchanged(irp, NonNull::from(header)) }
}

/// Whether the device below has `DO_POWER_PAGABLE`.
fn is_pagable_below(header: &Header) -> bool {
    header.lower.device().is_some_and(|lower| {
        // SAFETY: this device is attached to it until teardown, which keeps it in memory.
        let flags = unsafe { flags(lower) };
        flags.load(Ordering::Relaxed) & DO_POWER_PAGABLE != 0
    })
}

/// `DeviceObject->Flags`, which others read meanwhile.
///
/// # Safety
/// The device object must exist for `'a`.
unsafe fn flags<'a>(device: NonNull<DEVICE_OBJECT>) -> &'a AtomicU32 {
    // SAFETY: only an address is computed, within the device object.
    let flags = unsafe { &raw mut (*device.as_ptr()).Flags };
    // SAFETY: promised by the caller; the field is aligned, and four bytes long.
    unsafe { AtomicU32::from_ptr(flags) }
}
