//! The interrupt: connecting it, and the routines that the system calls.

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::{
    BOOLEAN, KDPC, NTSTATUS, PKINTERRUPT,
    ntddk::{IoConnectInterrupt, IoDisconnectInterrupt, KeFlushQueuedDpcs, KeRemoveQueueDpc},
};

use crate::{Device, TestDriver, resources::InterruptResource};

impl<D: TestDriver> Device<D> {
    /// `IoConnectInterrupt`. IRQL: `PASSIVE_LEVEL`.
    pub(crate) fn connect_interrupt(self, resource: &InterruptResource) -> NTSTATUS {
        // SAFETY: only an address is computed, within the extension.
        let interrupt = unsafe { &raw mut (*self.extension()).interrupt };
        // SAFETY: the routine and its context fit each other; removal disconnects before the extension goes.
        unsafe {
            IoConnectInterrupt(
                interrupt,
                Some(service::<D>),
                self.extension().cast(),
                core::ptr::null_mut(),
                resource.vector,
                resource.irql,
                resource.irql,
                resource.mode,
                resource.shared,
                resource.affinity,
                0,
            )
        }
    }

    /// Disconnects the interrupt, if it is connected, and waits for the DPC. IRQL: `PASSIVE_LEVEL`.
    pub(crate) fn disconnect_interrupt(self) {
        // SAFETY: PnP dispatch is serialised, and nobody else touches the field.
        let interrupt = unsafe { &mut (*self.extension()).interrupt };
        if interrupt.is_null() {
            return;
        }
        // SAFETY: connected, and not disconnected since.
        unsafe { IoDisconnectInterrupt(*interrupt) };
        *interrupt = core::ptr::null_mut();
        // SAFETY: the DPC is initialised; whether it was queued does not matter.
        unsafe { KeRemoveQueueDpc(self.dpc()) };
        // SAFETY: PASSIVE_LEVEL.
        unsafe { KeFlushQueuedDpcs() };
    }
}

/// # Safety
/// To be called by the kernel only, with the extension as context.
unsafe extern "C" fn service<D: TestDriver>(_interrupt: PKINTERRUPT, context: *mut c_void) -> BOOLEAN {
    // SAFETY: the context is the extension, which exists until the interrupt has been disconnected.
    let device = unsafe { device::<D>(context) };
    BOOLEAN::from(D::service(device))
}

/// # Safety
/// To be called by the kernel only, with the extension as context.
pub(crate) unsafe extern "C" fn deferred<D: TestDriver>(
    _dpc: *mut KDPC,
    context: *mut c_void,
    _argument1: *mut c_void,
    _argument2: *mut c_void,
) {
    // SAFETY: the context is the extension, which exists until the DPC has run.
    let device = unsafe { device::<D>(context) };
    D::deferred(device);
}

/// # Safety
/// `context` must be the device extension.
unsafe fn device<D: TestDriver>(context: *mut c_void) -> Device<D> {
    // SAFETY: promised by the caller.
    let extension = unsafe { NonNull::new_unchecked(context.cast()) };
    // SAFETY: as above.
    unsafe { Device::new(extension) }
}
