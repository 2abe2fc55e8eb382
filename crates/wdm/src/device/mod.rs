//! The device object and its extension.
//!
//! A driver implements [`DeviceExtension`], or [`FilterDevice`], for the type that it keeps in the device object. The value is initialised in place by
//! `AddDevice`, is lent as `&self` to every callback, and is dropped when `IRP_MN_REMOVE_DEVICE` has made sure that no callback
//! can run any more.

mod add_device;
mod cleanups;
mod dispatch_calls;
mod extension;
pub(crate) mod failure;
mod file_object;
mod filter;
mod init;
pub(crate) mod lifecycle;
mod lower;
mod object;
mod remove_lock;
mod role;
mod special_files;
mod teardown;

pub(crate) use add_device::add_device;
pub(crate) use cleanups::{Moment, Origin};
pub(crate) use extension::{Extension, Header, PnpState, PnpStates};
pub use failure::DeviceFailure;
pub use file_object::FileObject;
pub use filter::FilterDevice;
pub use init::DeviceInit;
pub(crate) use object::{Handle, KernelObject, Object};
use pinned_init::PinInit;
pub(crate) use role::{Filter, Function};
pub(crate) use special_files::SpecialFile;
pub(crate) use teardown::{close_queues, free_common_buffers, tear_down};

use crate::{
    error::{Error, Result},
    guid::Guid,
    irp::{Disposed, Irp},
    irql::{Irql, Passive, UpToDispatch},
    power::DevicePowerState,
    resources::Resources,
};

/// How the I/O manager passes the buffers of `IRP_MJ_READ` and `IRP_MJ_WRITE`. (Those of `IRP_MJ_DEVICE_CONTROL` go by the control code.)
///
/// See [Methods for Accessing Data Buffers](https://learn.microsoft.com/windows-hardware/drivers/kernel/methods-for-accessing-data-buffers).
/// There is no "neither": the safe layer does not touch addresses of a program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoMethod {
    /// `DO_BUFFERED_IO`: by a copy in system memory. For small ones.
    Buffered,
    /// `DO_DIRECT_IO`: by an MDL that describes the caller's memory, which is locked until the request is completed.
    Direct,
}

/// Why [`DeviceExtension::stop`] is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// `IRP_MN_STOP_DEVICE`, or `IRP_MN_START_DEVICE` without it: the system gives the device other resources and starts it again. Requests are held, not
    /// failed.
    Rebalance,
    /// `IRP_MN_REMOVE_DEVICE` while the device works: it will not be started again.
    Remove,
    /// The start has failed: in [`DeviceExtension::start`], in the first [`DeviceExtension::power_up`], or afterwards, because the device
    /// interface could not be enabled. Requests are held.
    StartFailed,
}

/// What a driver keeps for one device, and what it does for it.
///
/// Every method is called through one trampoline, which checks that the device object has an extension of this type. Removal waits until the method has
/// returned, and until every [`Irp`] of the device has ended, which holds the remove lock (`IoAcquireRemoveLock`): until then `&self` is valid.
///
/// The value is shared by callbacks on every processor (`Sync`), and dropped by another thread than the one that made it (`Send`).
///
/// The state machines of PnP and power are the safe layer's: it passes those requests down as documented and calls the driver where it has
/// to act. The methods that it calls then run at `PASSIVE_LEVEL`, one at a time for one device, in this order:
///
/// | | |
/// |---|---|
/// | [`start`](Self::start) | acquire the resources |
/// | [`power_up`](Self::power_up) | the device is in D0: program it from scratch |
/// | [`resume`](Self::resume) | requests may be started |
/// | [`hold`](Self::hold) | start no request; return when none is in flight |
/// | [`power_down`](Self::power_down) | the device leaves D0, or its resources: make it silent |
/// | [`stop`](Self::stop) | give the resources back |
///
/// The last three also follow one another for removal. A device that pauses is held and resumed; one that sleeps is held, powered down,
/// powered up and resumed; one that gets other resources goes the whole way. [`surprise_removal`](Self::surprise_removal) can come at any
/// point, and is the last. A device that [is there](Self::is_present) still is held and powered down before.
///
/// A device that sleeps:
///
/// ```no_run
/// use pinned_init::{PinInit, pin_data, try_pin_init};
/// use wdm::{
///     DeviceExtension, DeviceInit, DeviceMemory, DevicePowerState, Guid, Irql, Resources, Result, Error, StopReason,
///     irql::Passive,
/// };
///
/// const INTERRUPT_ENABLE: usize = 0x20;
///
/// #[pin_data]
/// struct Device {
///     #[pin]
///     registers: DeviceMemory<0x100>,
/// }
///
/// impl DeviceExtension for Device {
///     const INTERFACE: Option<Guid> = None;
///
///     fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
///         try_pin_init!(Self { registers <- DeviceMemory::new(device) }? Error)
///     }
///
///     fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
///         let memory = resources.memory(0).ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
///         self.registers.map(&memory, irql)
///     }
///
///     fn power_up(&self, _irql: &mut Irql<Passive>) -> Result<()> {
///         let enabled = self.registers.with(|registers| registers.write32::<INTERRUPT_ENABLE>(1));
///         enabled.ok_or(Error::INVALID_DEVICE_STATE)
///     }
///
///     fn power_down(&self, _to: DevicePowerState, _irql: &mut Irql<Passive>) {
///         self.registers.with(|registers| registers.write32::<INTERRUPT_ENABLE>(0));
///     }
///
///     fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}
///
///     fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}
/// }
/// # fn main() {}
/// ```
pub trait DeviceExtension: Sized + Send + Sync + 'static {
    /// The device interface class that applications find the device by. The interface is registered by `AddDevice`, enabled when
    /// the device has started, and disabled by surprise removal or removal (`IoRegisterDeviceInterface`,
    /// `IoSetDeviceInterfaceState`).
    const INTERFACE: Option<Guid>;

    /// `SurpriseRemovalOK` of the device's capabilities: a promise to the user, who is then not told to announce that he will take the device out. It can be
    /// taken out at any time, whatever the driver is doing: nothing is lost with it that a user would miss, and no method of the driver waits long for
    /// it, or does harm by what it reads then. That [`surprise_removal`](Self::surprise_removal) ends every request is not enough.
    ///
    /// A driver that does not say so leaves the answer to the lower drivers: [`DEVICE_CAPABILITIES`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/ns-wdm-_device_capabilities).
    const SURPRISE_REMOVAL_OK: bool = false;

    /// How the buffers of [`read`](Self::read) and [`write`](Self::write) come.
    const IO_METHOD: IoMethod = IoMethod::Buffered;

    /// The initialiser of the extension, run by `AddDevice` in the memory that it stays in.
    ///
    /// # Errors
    /// A failing initialiser makes `AddDevice` fail with that status, and the device is not used.
    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error>;

    /// Acquires the resources: maps registers, connects the interrupt. `IRP_MN_START_DEVICE`, after the lower drivers have completed it. The
    /// device is in D0 and may be touched; requests are held.
    ///
    /// # Errors
    /// The status that the request is completed with, after [`stop`](Self::stop) has been called to give back what was acquired. `stop` reaches no
    /// register: a `start` that fails leaves a silent device, whatever it has done to it.
    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()>;

    /// The device is in D0, after [`start`](Self::start) or a sleep, and may have forgotten everything: programs it from scratch, and
    /// enables its interrupts.
    ///
    /// # Errors
    /// The device may be half-way up, so [`power_down`](Self::power_down) is called to make it silent. After `start` the request is then completed with
    /// that status, and [`stop`](Self::stop) called. After a sleep requests stay held, and the system is told that the device has failed.
    fn power_up(&self, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    /// Requests may be started, those first that came meanwhile.
    fn resume(&self, _irql: &mut Irql<Passive>) {}

    /// Starts no request from now on, and returns when the device works on none any more. Requests that come are kept.
    ///
    /// The system waits, so a device that does not finish must not be waited for without end.
    fn hold(&self, _irql: &mut Irql<Passive>) {}

    /// The device is about to leave D0 for `to`, or to be stopped, which counts as D3; or [`power_up`](Self::power_up) has failed, and it counts as one in
    /// `to` still. Requests are held. Makes it silent; nothing may touch it from then on, until `power_up`.
    fn power_down(&self, _to: DevicePowerState, _irql: &mut Irql<Passive>) {}

    /// Gives back what [`start`](Self::start) has acquired, all or a part. The device may be without power: it is not touched, and
    /// [`DeviceMemory`](crate::DeviceMemory) gives no access to it. What is left mapped or connected afterwards is given back by the safe layer, and so are
    /// common buffers.
    fn stop(&self, reason: StopReason, irql: &mut Irql<Passive>);

    /// Whether the device has completed every DMA operation, and begins none by itself, so that its [`CommonBuffer`](crate::CommonBuffer)s can be
    /// freed before the lower drivers learn of its end. Asked when requests are held, the device is powered down and its resources are given back:
    /// after [`stop`](Self::stop), also one for a failed start, after [`surprise_removal`](Self::surprise_removal), and once more before
    /// `IRP_MN_REMOVE_DEVICE` goes down. No register can be reached then.
    ///
    /// While the answer is no, what the device may write to stays until the bus driver has taken the bus from it. That is always right, only later
    /// than the system likes: so it is the answer of a driver that gives none.
    fn dma_is_idle(&self, _irql: &mut Irql<Passive>) -> bool {
        false
    }

    /// Whether the device is there: a register is read, and has a value that no absent device gives.
    ///
    /// Asked when the system says that the device is gone (`IRP_MN_SURPRISE_REMOVAL`), which it also does of one that is not: one that could not
    /// be started again after a stop, or has been said to have [failed](crate::DeviceFailure). The device was started and is in D0. If it is there, it
    /// is made silent as for a stop, by [`hold`](Self::hold) and [`power_down`](Self::power_down), before
    /// [`surprise_removal`](Self::surprise_removal); if not, nothing touches it. It can still go at any moment.
    ///
    /// A driver that does not say has every such device taken for gone. That is right for one that neither interrupts nor uses DMA.
    ///
    /// See
    /// [Handling an `IRP_MN_SURPRISE_REMOVAL` Request](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-an-irp-mn-surprise-removal-request).
    fn is_present(&self, _irql: &mut Irql<Passive>) -> bool {
        false
    }

    /// Lets go of a device that is gone or given up: every request ends, what [`start`](Self::start) acquired is given back, as in
    /// [`stop`](Self::stop). No register can be reached any more.
    fn surprise_removal(&self, irql: &mut Irql<Passive>);

    /// `IRP_MJ_CREATE`: a handle is opened. It, and its end, is this driver's own affair: neither is [passed down](Irp::forward).
    fn create<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Ok(()), irql)
    }

    /// `IRP_MJ_CLEANUP`: the last handle of a file object is closed; its requests that wait in queues must be cancelled.
    /// Those that wait in none [the safe layer sees to](crate::irp#the-end-of-a-handle).
    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Ok(()), irql)
    }

    /// `IRP_MJ_CLOSE`: the last reference to a file object is gone, and all its requests are completed.
    fn close<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Ok(()), irql)
    }

    /// `IRP_MJ_READ` (`ReadFile`): [`Irp::read_write`] tells what is wanted. The device has been started, and may be stopped at the moment.
    fn read<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Err(Error::INVALID_DEVICE_REQUEST), irql)
    }

    /// `IRP_MJ_WRITE` (`WriteFile`), as [`read`](Self::read).
    fn write<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Err(Error::INVALID_DEVICE_REQUEST), irql)
    }

    /// `IRP_MJ_DEVICE_CONTROL`. The device has been started, and may be stopped at the moment.
    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Err(Error::INVALID_DEVICE_REQUEST), irql)
    }

    /// `IRP_MJ_SYSTEM_CONTROL`: WMI, which a driver that has no part in it passes down. Called at `PASSIVE_LEVEL`, in every state of the device.
    fn system_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.forward(irql)
    }

    /// A request of another kind, [`Irp::major_function`] tells which; as [`device_control`](Self::device_control). The I/O manager's own
    /// dispatch routine, which a driver object has where a driver sets none, answers as this does.
    fn other_request<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.complete(Err(Error::INVALID_DEVICE_REQUEST), irql)
    }
}
