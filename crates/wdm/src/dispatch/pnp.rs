//! `IRP_MJ_PNP`: the documented state machine of a function driver.
//!
//! See [Plug and Play Minor IRPs](https://learn.microsoft.com/windows-hardware/drivers/kernel/plug-and-play-minor-irps) and the pages on
//! starting, stopping and removing devices.

use core::ptr::NonNull;

use wdk_sys::{
    IRP, IRP_MN_CANCEL_REMOVE_DEVICE, IRP_MN_CANCEL_STOP_DEVICE, IRP_MN_DEVICE_USAGE_NOTIFICATION,
    IRP_MN_QUERY_CAPABILITIES, IRP_MN_QUERY_PNP_DEVICE_STATE, IRP_MN_QUERY_REMOVE_DEVICE, IRP_MN_QUERY_STOP_DEVICE,
    IRP_MN_REMOVE_DEVICE, IRP_MN_START_DEVICE, IRP_MN_STOP_DEVICE, IRP_MN_SURPRISE_REMOVAL, NTSTATUS, PDEVICE_OBJECT,
    PNP_DEVICE_FAILED,
};

use super::{enter_admitted, remove::remove};
use crate::{
    device::{DeviceExtension, Extension, Header, PnpState, StopReason, free_common_buffers, lifecycle},
    error::{Error, Result},
    irp::{complete, current_stack_location, forward_and_wait, information, pass_on, set_status},
    irql::{Irql, Passive},
    resources::Resources,
    status::Status,
};

/// `IRP_MJ_PNP`.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn pnp<T: DeviceExtension>(device: PDEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
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
    if u32::from(minor) == IRP_MN_REMOVE_DEVICE {
        // SAFETY: the IRP is the remove request, owned, with the remove lock acquired.
        return unsafe { remove(extension, irp, &mut irql) }.as_raw();
    }
    // SAFETY: AddDevice has initialised the value, and the remove lock keeps it.
    let device = unsafe { Extension::data(extension) };
    let mut request = PnpRequest {
        device,
        header,
        irp,
        irql: &mut irql,
    };
    match u32::from(minor) {
        IRP_MN_START_DEVICE => request.start(),
        IRP_MN_QUERY_STOP_DEVICE => request.query_stop(),
        IRP_MN_CANCEL_STOP_DEVICE => request.cancel_stop(),
        IRP_MN_STOP_DEVICE => request.stop(),
        IRP_MN_QUERY_REMOVE_DEVICE => request.query(PnpState::RemovePending),
        IRP_MN_CANCEL_REMOVE_DEVICE => request.cancel_remove(),
        IRP_MN_SURPRISE_REMOVAL => request.surprise_removal(),
        IRP_MN_QUERY_CAPABILITIES => request.query_capabilities(),
        IRP_MN_QUERY_PNP_DEVICE_STATE => request.query_pnp_device_state(),
        IRP_MN_DEVICE_USAGE_NOTIFICATION => request.usage_notification(),
        _ => request.pass_down(),
    }
    .as_raw()
}

/// A PnP request that is being handled, with the remove lock acquired for its IRP.
struct PnpRequest<'a, T> {
    device: &'a T,
    header: &'a Header,
    irp: NonNull<IRP>,
    irql: &'a mut Irql<Passive>,
}

impl<T: DeviceExtension> PnpRequest<'_, T> {
    /// The lower drivers start first; then this one, with the resources in its stack location.
    fn start(&mut self) -> Status {
        self.let_go_of_old_resources();
        let mut status = self.forward_and_wait();
        if status.is_success() {
            // SAFETY: the IRP is at this driver again.
            let stack = unsafe { current_stack_location(self.irp) };
            // SAFETY: the minor function says which member of the union is in use.
            let list = unsafe { stack.Parameters.StartDevice.AllocatedResourcesTranslated };
            // SAFETY: the list is the PnP manager's, valid until the request is completed.
            let resources = unsafe { Resources::new(list) };
            status = self.start_hardware(&resources).into();
        }
        self.complete(status)
    }

    /// The system may start a started device anew, with other resources and without a stop:
    /// [`IRP_MN_START_DEVICE`](https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-mn-start-device). Until the lower drivers learn of it the
    /// device is where it was: so it is made silent, and what it has given back, before they do. From then on it is a stopped one, whatever comes of the
    /// start.
    fn let_go_of_old_resources(&mut self) {
        if lifecycle::stop(self.header, self.device, StopReason::Rebalance, self.irql) {
            self.header.set_state(PnpState::Stopped);
        }
    }

    /// The device, then its interface. Without the second the first is stopped again: what a failed start has acquired nobody else gives back.
    fn start_hardware(&mut self, resources: &Resources<'_>) -> Result<()> {
        let before = self.header.state();
        lifecycle::start(self.header, self.device, resources, self.irql)?;
        let enabled = self.enable_interface(true);
        if enabled.is_err() {
            lifecycle::stop(self.header, self.device, StopReason::StartFailed, self.irql);
            self.header.set_state(before);
        }
        enabled
    }

    /// Nothing may be in flight when the PnP manager learns that the device can be stopped.
    fn query_stop(&mut self) -> Status {
        lifecycle::query_stop(self.header, self.device, self.irql);
        self.query(PnpState::StopPending)
    }

    fn cancel_stop(&mut self) -> Status {
        self.lower_drivers_go_back(PnpState::StopPending);
        lifecycle::cancel_stop(self.header, self.device, self.irql);
        self.complete(Status::SUCCESS)
    }

    fn query(&mut self, pending: PnpState) -> Status {
        self.header.enter_query(pending);
        self.set_success();
        self.pass_down()
    }

    fn cancel_remove(&mut self) -> Status {
        self.lower_drivers_go_back(PnpState::RemovePending);
        self.complete(Status::SUCCESS)
    }

    /// A query is cancelled: by the lower drivers first.
    fn lower_drivers_go_back(&mut self, pending: PnpState) {
        self.set_success();
        // The documentation lets nobody fail this request.
        let _ = self.forward_and_wait();
        self.header.leave_query(pending);
    }

    fn stop(&mut self) -> Status {
        lifecycle::stop(self.header, self.device, StopReason::Rebalance, self.irql);
        self.header.set_state(PnpState::Stopped);
        self.set_success();
        let status = self.forward_and_wait();
        // No adapter may outlive this request. What is left goes now that the bus driver has taken the bus from a device that may be writing still.
        free_common_buffers(self.header, self.irql);
        self.complete(status)
    }

    fn surprise_removal(&mut self) -> Status {
        self.header.set_state(PnpState::SurpriseRemoved);
        // That the interface cannot be disabled changes nothing about the device being gone.
        let _ = self.enable_interface(false);
        lifecycle::surprise_removal(self.header, self.device, self.irql);
        self.set_success();
        self.pass_down()
    }

    /// The lower drivers answer; what they say of power states is kept. The PnP manager asks whenever the device is about to be started, and after
    /// it was.
    ///
    /// [`SurpriseRemovalOK`](DeviceExtension::SURPRISE_REMOVAL_OK) is the function driver's to set, when the request is on its way back.
    fn query_capabilities(&mut self) -> Status {
        let status = self.forward_and_wait();
        if status.is_success() {
            // SAFETY: the IRP is at this driver again.
            let stack = unsafe { current_stack_location(self.irp) };
            // SAFETY: the minor function says which member of the union is in use.
            let capabilities = unsafe { stack.Parameters.DeviceCapabilities.Capabilities };
            // SAFETY: the structure is the sender's, valid until the request is completed.
            if let Some(capabilities) = unsafe { capabilities.as_mut() } {
                self.header.device_states.learn(capabilities);
                if T::SURPRISE_REMOVAL_OK {
                    capabilities.set_SurpriseRemovalOK(1);
                }
            }
        }
        self.complete(status)
    }

    /// What the lower drivers know of the device's state comes first; then what this one does.
    fn query_pnp_device_state(&mut self) -> Status {
        let below = self.forward_and_wait();
        // SAFETY: the IRP is at this driver again.
        let mut state = unsafe { information(self.irp) };
        let mut status = below;
        if self.header.has_failed() {
            if !below.is_success() {
                // `STATUS_NOT_SUPPORTED`: nobody below has anything to say.
                state = 0;
            }
            state |= PNP_DEVICE_FAILED as usize;
            status = Status::SUCCESS;
        }
        // SAFETY: the IRP is owned, with the remove lock acquired; this is its last use.
        unsafe { complete(self.irp, NonNull::from(self.header), status, state) };
        status
    }

    /// No function driver on this layer can do the paging file's I/O, since its requests wait while the device is stopped or asleep; so none supports a
    /// special file, and each fails what would put one on its device:
    /// [`IRP_MN_DEVICE_USAGE_NOTIFICATION`](https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-mn-device-usage-notification).
    fn usage_notification(&mut self) -> Status {
        // SAFETY: the IRP is at this driver.
        let stack = unsafe { current_stack_location(self.irp) };
        // SAFETY: the minor function says which member of the union is in use.
        let in_path = unsafe { stack.Parameters.UsageNotification.InPath } != 0;
        if in_path {
            self.complete(Error::UNSUCCESSFUL.into())
        } else {
            self.pass_down()
        }
    }

    fn enable_interface(&mut self, enable: bool) -> Result<()> {
        // SAFETY: PnP dispatch has the interface for itself.
        let interface = unsafe { &mut *self.header.interface.get() };
        interface.set_state(enable, self.irql)
    }

    /// A request that this driver handles goes down with `STATUS_SUCCESS`.
    fn set_success(&mut self) {
        // SAFETY: the IRP is owned.
        unsafe { set_status(self.irp, Status::SUCCESS, 0) };
    }

    fn forward_and_wait(&mut self) -> Status {
        // SAFETY: the IRP is owned.
        unsafe { forward_and_wait(self.irp, self.header, self.irql) }
    }

    fn pass_down(&mut self) -> Status {
        // SAFETY: the IRP is owned, with the remove lock acquired; this is its last use.
        unsafe { pass_on(self.irp, self.header) }
    }

    fn complete(&mut self, status: Status) -> Status {
        // SAFETY: the IRP is owned, with the remove lock acquired; this is its last use. `Information` stays 0.
        unsafe { complete(self.irp, NonNull::from(self.header), status, 0) };
        status
    }
}
