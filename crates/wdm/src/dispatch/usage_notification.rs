//! `IRP_MN_DEVICE_USAGE_NOTIFICATION`: a paging file, a dump file or a hibernation file is put on the device, or taken off it.
//!
//! See [its page](https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-mn-device-usage-notification) and
//! [Setting Device Object Flags for Power Management](https://learn.microsoft.com/windows-hardware/drivers/kernel/setting-device-object-flags-for-power-management).

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::{DEVICE_OBJECT, DO_POWER_PAGABLE, IRP};

use crate::{
    device::Header,
    irp::{complete_unchanged, forward_and_wait},
    irql::{Irql, Passive},
    status::Status,
};

/// Has the lower drivers answer, and takes over what they have made of `DO_POWER_PAGABLE` by then: a driver must not have it where the one below has
/// cleared it. Nothing of a driver of this crate is paged, so that is all.
///
/// # Safety
/// The IRP must be such a request, owned, with the remove lock of `header` acquired for it; the caller gives it up.
pub(super) unsafe fn usage_notification(header: &Header, irp: NonNull<IRP>, irql: &mut Irql<Passive>) -> Status {
    // SAFETY: the IRP is owned.
    unsafe { forward_and_wait(irp, header, irql) };
    if let Some(lower) = header.lower.device() {
        // SAFETY: this device is attached to it until teardown, which keeps it in memory.
        let lower = unsafe { flags(lower.as_ptr()) };
        // SAFETY: the device object is ours.
        let own = unsafe { flags(header.device().as_ptr()) };
        if lower.load(Ordering::Relaxed) & DO_POWER_PAGABLE == 0 {
            own.fetch_and(!DO_POWER_PAGABLE, Ordering::Relaxed);
        } else {
            own.fetch_or(DO_POWER_PAGABLE, Ordering::Relaxed);
        }
    }
    // SAFETY: the IRP is at this driver again, with the lower drivers' answer, and given up.
    unsafe { complete_unchanged(irp, NonNull::from(header)) }
}

/// `DeviceObject->Flags`, which others read meanwhile.
///
/// # Safety
/// The device object must exist for `'a`.
unsafe fn flags<'a>(device: *mut DEVICE_OBJECT) -> &'a AtomicU32 {
    // SAFETY: only an address is computed, within the device object.
    let flags = unsafe { &raw mut (*device).Flags };
    // SAFETY: promised by the caller; the field is aligned, and four bytes long.
    unsafe { AtomicU32::from_ptr(flags) }
}
