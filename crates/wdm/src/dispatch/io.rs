//! Requests for the driver: create, cleanup, close, read, write, device control, WMI and the rest.

use core::ptr::NonNull;

use wdk_sys::{IRP, NTSTATUS, PDEVICE_OBJECT};

use super::{enter, reject};
use crate::{
    device::{DeviceExtension, Extension, FileObject, Header, PnpState, PnpStates},
    error::Error,
    irp::{Disposed, Irp, complete, current_stack_location},
    irql::{Irql, UpToDispatch},
};

/// Defines the dispatch routines of the drivers that `$role` is: for each, which states of the device admit its requests, what the layer does before, and
/// what handles them.
macro_rules! dispatch_routines {
    ($role:ident: $($(#[$doc:meta])* $routine:ident: $admitted:expr, $before:expr, $handle:expr;)*) => {
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
                unsafe { dispatch(extension, irp, $admitted, $before, $handle) }
            }
        )*
    };
}
pub(super) use dispatch_routines;

/// A request for the device itself needs a device that was started and is there. While it is stopped for a while the driver holds it.
const WHILE_PRESENT: PnpStates = PnpStates::of(&[
    PnpState::Started,
    PnpState::StopPending,
    PnpState::Stopped,
    PnpState::RemovePending,
]);
/// Whoever has agreed to its removal opens the device for nobody.
const WHILE_NOT_LEAVING: PnpStates = PnpStates::of(&[PnpState::Started, PnpState::StopPending, PnpState::Stopped]);

dispatch_routines! {
    DeviceExtension:
    /// `IRP_MJ_CREATE`.
    create: WHILE_NOT_LEAVING, nothing, T::create;
    /// `IRP_MJ_CLEANUP`. A handle can be closed in every state.
    cleanup: PnpStates::ALL, note_cleanup, T::cleanup;
    /// `IRP_MJ_CLOSE`. A handle can be closed in every state.
    close: PnpStates::ALL, forget_cleanup, T::close;
    /// `IRP_MJ_READ`.
    read: WHILE_PRESENT, nothing, T::read;
    /// `IRP_MJ_WRITE`.
    write: WHILE_PRESENT, nothing, T::write;
    /// `IRP_MJ_DEVICE_CONTROL`.
    device_control: WHILE_PRESENT, nothing, T::device_control;
    /// `IRP_MJ_SYSTEM_CONTROL`: the lower driver may have a part in it in every state.
    system_control: PnpStates::ALL, nothing, T::system_control;
    /// Every other request but PnP and power.
    other_request: WHILE_PRESENT, nothing, T::other_request;
}

/// What a request is refused with in a state of the device that does not admit it.
#[cold]
const fn refusal(state: PnpState) -> Error {
    match state {
        PnpState::NotStarted => Error::DEVICE_NOT_READY,
        PnpState::SurpriseRemoved => Error::DEVICE_REMOVED,
        _ => Error::DELETE_PENDING,
    }
}

/// For most requests.
pub(super) const fn nothing(_file: FileObject, _header: &Header, _irql: &mut Irql<UpToDispatch>) {}

/// `IRP_MJ_CLEANUP`: the file object has no handle any more.
pub(super) fn note_cleanup(file: FileObject, header: &Header, irql: &mut Irql<UpToDispatch>) {
    header.cleanups.note(file, irql);
}

/// `IRP_MJ_CLOSE`: the file object has no request any more.
pub(super) fn forget_cleanup(file: FileObject, header: &Header, irql: &mut Irql<UpToDispatch>) {
    header.cleanups.forget(file, irql);
}

/// Calls `routine` with the IRP, which gets the remove lock, if the device's state admits it.
///
/// # Safety
/// The extension must be that of the device object the IRP was sent to, and the IRP at this driver and owned.
pub(super) unsafe fn dispatch<T, F>(
    extension: NonNull<Extension<T>>,
    irp: NonNull<IRP>,
    admitted: PnpStates,
    before: fn(FileObject, &Header, &mut Irql<UpToDispatch>),
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
    let state = header.state();
    let status = if admitted.contains(state) {
        // SAFETY: AddDevice has initialised the value, and the count of dispatch routines keeps it.
        let device = unsafe { Extension::data(extension) };
        // SAFETY: the IRP is owned.
        let file = unsafe { current_stack_location(irp) }.FileObject;
        before(FileObject::new(file), header, &mut irql);
        // SAFETY: the IRP is owned and has the remove lock; the brand is that of this call.
        let irp = unsafe { Irp::new(irp, extension.cast()) };
        routine(device, irp, &mut irql).as_raw()
    } else {
        let error = refusal(state);
        // SAFETY: the IRP is owned, has the remove lock, and is given up.
        unsafe { complete(irp, extension.cast(), error.into(), 0) };
        error.as_raw()
    };
    header.dispatch_calls.leave();
    status
}
