//! Requests for the driver: create, cleanup, close, read, write, device control, WMI and the rest.

use core::ptr::NonNull;

use wdk_sys::{IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, NTSTATUS, PDEVICE_OBJECT};

use super::{enter, reject};
use crate::{
    device::{DeviceExtension, Extension, FileObject, Header, PnpState},
    error::{Error, Result},
    irp::{Disposed, Irp, complete, current_stack_location},
    irql::{AtMostDispatch, Irql, UpToDispatch},
};

/// Defines the dispatch routines of the drivers that `$role` is: for each, which states of the device admit its requests, and what handles them.
macro_rules! dispatch_routines {
    ($role:ident: $($(#[$doc:meta])* $routine:ident: $admit:path, $handle:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// To be called by the I/O manager only.
            pub(crate) unsafe extern "C" fn $routine<T: $role>(device: PDEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
                // SAFETY: the arguments are those of a dispatch routine.
                let (extension, irp) = match unsafe { enter::<T>(device, irp) } {
                    Ok(entered) => entered,
                    Err(status) => return status,
                };
                // SAFETY: as above.
                unsafe { dispatch(extension, irp, $admit, $handle) }
            }
        )*
    };
}
pub(super) use dispatch_routines;

dispatch_routines! {
    DeviceExtension:
    /// `IRP_MJ_CREATE`.
    create: while_not_leaving, T::create;
    /// `IRP_MJ_CLEANUP`. A handle can be closed in every state.
    cleanup: always, T::cleanup;
    /// `IRP_MJ_CLOSE`. A handle can be closed in every state.
    close: always, T::close;
    /// `IRP_MJ_READ`.
    read: while_present, T::read;
    /// `IRP_MJ_WRITE`.
    write: while_present, T::write;
    /// `IRP_MJ_DEVICE_CONTROL`.
    device_control: while_present, T::device_control;
    /// `IRP_MJ_SYSTEM_CONTROL`: the lower driver may have a part in it in every state.
    system_control: always, T::system_control;
    /// Every other request but PnP and power.
    other_request: while_present, T::other_request;
}

/// A request for the device itself needs a device that was started and is there. While it is stopped for a while the driver holds it.
fn while_present(state: PnpState) -> Result<()> {
    match state {
        PnpState::NotStarted => Err(Error::DEVICE_NOT_READY),
        PnpState::SurpriseRemoved => Err(Error::DEVICE_REMOVED),
        PnpState::Removed => Err(Error::DELETE_PENDING),
        PnpState::Started | PnpState::StopPending | PnpState::Stopped | PnpState::RemovePending => Ok(()),
    }
}

/// Whoever has agreed to its removal opens the device for nobody.
fn while_not_leaving(state: PnpState) -> Result<()> {
    match state {
        PnpState::RemovePending => Err(Error::DELETE_PENDING),
        state => while_present(state),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the counterpart of `while_present`")]
pub(super) const fn always(_state: PnpState) -> Result<()> {
    Ok(())
}

/// Notes which file objects have no handle any more.
///
/// # Safety
/// The IRP must be at this driver, in the stack location of `header`'s device, and owned.
unsafe fn follow_handles<L: AtMostDispatch>(irp: NonNull<IRP>, header: &Header, irql: &mut Irql<L>) {
    // SAFETY: promised by the caller.
    let stack = unsafe { current_stack_location(irp) };
    let file = FileObject::new(stack.FileObject);
    match u32::from(stack.MajorFunction) {
        IRP_MJ_CLEANUP => header.cleanups.note(file, irql),
        IRP_MJ_CLOSE => header.cleanups.forget(file, irql),
        _ => {}
    }
}

/// Calls `routine` with the IRP, which gets the remove lock, if the device's state admits it.
///
/// # Safety
/// The extension must be that of the device object the IRP was sent to, and the IRP at this driver and owned.
pub(super) unsafe fn dispatch<T, F>(
    extension: NonNull<Extension<T>>,
    irp: NonNull<IRP>,
    admit: fn(PnpState) -> Result<()>,
    routine: F,
) -> NTSTATUS
where
    T: 'static,
    F: for<'i> FnOnce(&T, Irp<'i>, &mut Irql<UpToDispatch>) -> Disposed<'i>,
{
    // SAFETY: the I/O manager calls dispatch routines at DISPATCH_LEVEL or below; where exactly is up to the sender of the IRP.
    let mut irql = unsafe { Irql::<UpToDispatch>::assume() };
    // SAFETY: the device object exists for the time of the call, since the IRP was sent to it.
    let header = unsafe { Extension::header(extension) };
    if let Err(error) = header.remove_lock.acquire(irp.as_ptr().cast(), &mut irql) {
        // SAFETY: the IRP is owned.
        return unsafe { reject(irp, error) };
    }
    header.dispatch_calls.enter();
    let status = match admit(header.state()) {
        Ok(()) => {
            // SAFETY: AddDevice has initialised the value, and the count of dispatch routines keeps it.
            let device = unsafe { Extension::data(extension) };
            // SAFETY: the IRP is owned.
            unsafe { follow_handles(irp, header, &mut irql) };
            // SAFETY: the IRP is owned and has the remove lock; the brand is that of this call.
            let irp = unsafe { Irp::new(irp, extension.cast()) };
            routine(device, irp, &mut irql).as_raw()
        }
        Err(error) => {
            // SAFETY: the IRP is owned, has the remove lock, and is given up.
            unsafe { complete(irp, extension.cast(), error.into(), 0) };
            error.as_raw()
        }
    };
    header.dispatch_calls.leave();
    status
}
