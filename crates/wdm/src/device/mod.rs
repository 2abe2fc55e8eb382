//! The device object and its extension.
//!
//! A driver implements [`DeviceExtension`] for the type that it keeps in the device object. The value is initialised in place by
//! `AddDevice`, is lent as `&self` to every callback, and is dropped when `IRP_MN_REMOVE_DEVICE` has made sure that no callback
//! can run any more.

mod add_device;
mod extension;
mod file_object;
mod init;
mod object;
mod remove_lock;
mod teardown;

pub(crate) use add_device::add_device;
pub(crate) use extension::{Extension, Header, PnpState};
pub use file_object::FileObject;
pub use init::DeviceInit;
pub(crate) use object::{Object, ObjectNode};
use pinned_init::PinInit;
pub(crate) use teardown::{close_queues, disconnect_interrupts, tear_down};

use crate::{
    guid::Guid,
    irp::{Disposed, Irp},
    irql::{Irql, Passive, UpToDispatch},
    resources::Resources,
    status::{Result, Status},
};

/// Why [`DeviceExtension::stop`] is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// `IRP_MN_STOP_DEVICE`: the system gives the device other resources and starts it again. Requests are held, not failed.
    Rebalance,
    /// `IRP_MN_REMOVE_DEVICE` while the device works: it will not be started again.
    Remove,
}

/// What a driver keeps for one device, and what it does for it.
///
/// Every method is called through one trampoline, which checks that the device object has an extension of this type, and for
/// everything but DPCs and ISRs holds the remove lock (`IoAcquireRemoveLock`): `&self` is valid until the method returns, and longer
/// for as long as an [`Irp`] of the device is owned by anybody.
///
/// The value is shared by callbacks on every processor (`Sync`), and dropped by another thread than the one that made it (`Send`).
///
/// The PnP state machine itself is the safe layer's: it passes PnP requests down as documented and calls [`start`](Self::start),
/// [`stop`](Self::stop) and [`surprise_removal`](Self::surprise_removal) where the driver has to act.
pub trait DeviceExtension: Sized + Send + Sync + 'static {
    /// The device interface class that applications find the device by. The interface is registered by `AddDevice`, enabled when
    /// the device has started, and disabled by surprise removal or removal (`IoRegisterDeviceInterface`,
    /// `IoSetDeviceInterfaceState`).
    const INTERFACE: Option<Guid>;

    /// The initialiser of the extension, run by `AddDevice` in the memory that it stays in.
    ///
    /// # Errors
    /// A failing initialiser makes `AddDevice` fail with that status, and the device is not used.
    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Status>;

    /// Starts the hardware: `IRP_MN_START_DEVICE`, after the lower drivers have completed it.
    ///
    /// # Errors
    /// The status that the request is completed with. What the method acquired it must have released.
    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()>;

    /// Stops the hardware and gives back what `start` acquired. The device is there and may be touched.
    fn stop(&self, reason: StopReason, irql: &mut Irql<Passive>);

    /// Lets go of a device that is gone: no register is touched, every request ends, what `start` acquired is given back.
    fn surprise_removal(&self, irql: &mut Irql<Passive>);

    /// `IRP_MJ_CREATE`: a handle is opened.
    fn create<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Status::SUCCESS, irql)
    }

    /// `IRP_MJ_CLEANUP`: the last handle of a file object is closed; its requests that wait in queues must be cancelled.
    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Status::SUCCESS, irql)
    }

    /// `IRP_MJ_CLOSE`: the last reference to a file object is gone, and all its requests are completed.
    fn close<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Status::SUCCESS, irql)
    }

    /// `IRP_MJ_DEVICE_CONTROL`. The device has been started, and may be stopped at the moment.
    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Status::INVALID_DEVICE_REQUEST, irql)
    }

    /// `IRP_MJ_SYSTEM_CONTROL`: WMI, which a driver that has no part in it passes down. Called at `PASSIVE_LEVEL`, in every state of the device.
    fn system_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.forward(irql)
    }

    /// A request of another kind, [`Irp::major_function`] tells which; as [`device_control`](Self::device_control). The I/O manager's own
    /// dispatch routine, which a driver object has where a driver sets none, answers as this does.
    fn other_request<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Status::INVALID_DEVICE_REQUEST, irql)
    }
}
