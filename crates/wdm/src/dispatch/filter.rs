//! The dispatch routines of a filter: what it does not handle is the lower driver's.

use core::ptr::NonNull;

use wdk_sys::{
    IRP, IRP_MN_DEVICE_USAGE_NOTIFICATION, IRP_MN_REMOVE_DEVICE, IRP_MN_START_DEVICE, IRP_MN_SURPRISE_REMOVAL,
    NTSTATUS, PDEVICE_OBJECT,
};

pub(crate) use super::power::filter::power;
use super::{
    enter, enter_admitted,
    io::{dispatch, dispatch_routines, forget_cleanup, note_cleanup, nothing},
    remove::leave,
    usage_notification::usage_notification,
};
use crate::{
    device::{Extension, FilterDevice, PnpState, PnpStates, close_queues},
    error::Error,
    irp::{Disposed, Irp, complete_unchanged, current_stack_location, forward_and_wait, pass_on, set_status},
    irql::{Irql, Passive, UpToDispatch},
    power::report_d0,
    status::Status,
};

dispatch_routines! {
    FilterDevice:
    /// `IRP_MJ_CREATE`.
    create: PnpStates::ALL, nothing, opened::<T>;
    /// `IRP_MJ_CLEANUP`.
    cleanup: PnpStates::ALL, note_cleanup, |filter: &T, irp, irql| {
        filter.cleanup(irp.file_object(), irql);
        irp.pass_on(irql)
    };
    /// `IRP_MJ_CLOSE`.
    close: PnpStates::ALL, forget_cleanup, |filter: &T, irp, irql| {
        filter.close(irp.file_object(), irql);
        irp.pass_on(irql)
    };
    /// `IRP_MJ_READ`.
    read: PnpStates::ALL, nothing, T::read;
    /// `IRP_MJ_WRITE`.
    write: PnpStates::ALL, nothing, T::write;
    /// `IRP_MJ_DEVICE_CONTROL`.
    device_control: PnpStates::ALL, nothing, T::device_control;
    /// `IRP_MJ_SYSTEM_CONTROL`: WMI, of which a filter provides nothing.
    system_control: PnpStates::ALL, nothing, |_: &T, irp, irql| irp.pass_on(irql);
    /// Every other request but PnP and power.
    other_request: PnpStates::ALL, nothing, T::other_request;
}

/// Asks the filter whether the device may be opened.
fn opened<'i, T: FilterDevice>(filter: &T, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    match filter.create(&irp, irql) {
        Ok(()) => irp.pass_on(irql),
        Err(error) => irp.complete(Err(error), irql),
    }
}

/// `IRP_MJ_PNP`.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn pnp<T: FilterDevice>(device: PDEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: PnP requests are sent at PASSIVE_LEVEL.
    let mut irql = unsafe { Irql::<Passive>::assume() };
    // SAFETY: the arguments are those of a dispatch routine.
    let (extension, irp) = match unsafe { enter_admitted::<T, _>(device, irp, &mut irql) } {
        Ok(admitted) => admitted,
        Err(status) => return status,
    };
    // SAFETY: the remove lock keeps the extension.
    let header = unsafe { Extension::header(extension) };
    // SAFETY: the IRP is at this driver.
    let minor = unsafe { current_stack_location(irp) }.MinorFunction;
    match u32::from(minor) {
        IRP_MN_REMOVE_DEVICE => {
            header.set_state(PnpState::Removed);
            // SAFETY: the IRP is the remove request, owned, with the remove lock acquired.
            unsafe { leave(extension, irp, &mut irql) }
        }
        IRP_MN_START_DEVICE => {
            // SAFETY: the IRP is owned, with the remove lock acquired.
            let started = unsafe { forward_and_wait(irp, header, &mut irql) };
            if started.is_success() {
                header.set_state(PnpState::Started);
                report_d0(header.device(), &mut irql);
                // SAFETY: AddDevice has initialised the value, and the remove lock keeps it.
                unsafe { Extension::data(extension) }.started(&mut irql);
            }
            // SAFETY: the IRP is at this driver again, with the lower drivers' answer, and given up.
            unsafe { complete_unchanged(irp, NonNull::from(header)) }
        }
        IRP_MN_SURPRISE_REMOVAL => {
            header.set_state(PnpState::SurpriseRemoved);
            close_queues(header, Error::DEVICE_REMOVED, &mut irql);
            // SAFETY: the IRP is owned.
            unsafe { set_status(irp, Status::SUCCESS, 0) };
            // SAFETY: the IRP is owned, with the remove lock acquired, and given up.
            unsafe { pass_on(irp, header) }
        }
        // SAFETY: as above.
        IRP_MN_DEVICE_USAGE_NOTIFICATION => unsafe { usage_notification(header, irp, &mut irql) },
        // SAFETY: as above.
        _ => unsafe { pass_on(irp, header) },
    }
    .as_raw()
}
