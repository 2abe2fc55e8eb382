//! A filter driver's device.

use pinned_init::PinInit;

use super::{DeviceInit, FileObject};
use crate::{
    error::{Error, Result},
    irp::{Disposed, Irp},
    irql::{Irql, Passive, UpToDispatch},
};

/// What a filter driver keeps for one device, and what it does with the requests that pass through.
///
/// A filter is between drivers that know nothing of it, so it does as they would without it unless it says otherwise: every method has a default,
/// which passes the request down. The rest of a filter's duties is the safe layer's:
///
/// - Its device object looks like the one below it: `DO_BUFFERED_IO` or `DO_DIRECT_IO`, `DO_POWER_PAGABLE`, `DO_POWER_INRUSH`, the device type, the
///   characteristics. So a request's buffers come as the lower driver expects them.
/// - Opens belong to the stack. `IRP_MJ_CREATE` is passed down or refused, `IRP_MJ_CLEANUP` and `IRP_MJ_CLOSE` are passed down: the lower driver
///   sees all three of an open, or none.
/// - PnP requests go down, and what the lower drivers answer is the answer. While there is a paging file, a hibernation file or a dump file on the device
///   (`IRP_MN_DEVICE_USAGE_NOTIFICATION`) its device object does not say `DO_POWER_PAGABLE`.
/// - Power requests go down. A filter does not own the device's power policy, and requests no change of its power.
/// - It has no resources of the device, so it can map no registers and connect no interrupt.
///
/// A request with addresses of a program's, which mean something in that program's thread only, [can be passed down](Irp::forward) in the method that got
/// it, and nowhere else. Of most device control requests the safe layer cannot tell: somebody has to [vouch](crate::AnyThreadRequest) for those that are
/// passed down later.
///
/// ```no_run
/// use core::sync::atomic::{AtomicU64, Ordering};
///
/// use pinned_init::PinInit;
/// use wdm::{DeviceInit, Disposed, Error, FilterDevice, Irp, Irql, irql::UpToDispatch};
///
/// /// Counts the bytes that are written to a device.
/// struct Meter {
///     written: AtomicU64,
/// }
///
/// impl FilterDevice for Meter {
///     fn init(_device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
///         Ok(Self { written: AtomicU64::new(0) })
///     }
///
///     fn write<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
///         if let Some(request) = irp.read_write() {
///             self.written.fetch_add(request.length.into(), Ordering::Relaxed);
///         }
///         irp.forward(irql)
///     }
/// }
///
/// wdm::filter_entry!(Meter);
/// # fn main() {}
/// ```
///
/// See [Filter drivers](https://learn.microsoft.com/windows-hardware/drivers/kernel/filter-drivers),
/// [AddDevice Routines in Function or Filter Drivers](https://learn.microsoft.com/windows-hardware/drivers/kernel/adddevice-routines-in-function-or-filter-drivers)
/// and
/// [Handling a System Set-Power IRP in a Filter Driver](https://learn.microsoft.com/windows-hardware/drivers/kernel/handling-a-system-set-power-irp-in-a-filter-driver).
pub trait FilterDevice: Sized + Send + Sync + 'static {
    /// The initialiser of the extension, run by `AddDevice` in the memory that it stays in.
    ///
    /// # Errors
    /// A failing initialiser makes `AddDevice` fail with that status. The system starts no device one of whose filters cannot be added.
    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error>;

    /// The drivers below have started the device: they take requests from now on.
    fn started(&self, _irql: &mut Irql<Passive>) {}

    /// `IRP_MJ_CREATE`: a handle is opened. Whether the drivers below open it too is not known yet: they are asked after this one.
    ///
    /// # Errors
    /// The status that the request is completed with. The drivers below never hear of it then.
    fn create(&self, _irp: &Irp<'_>, _irql: &mut Irql<UpToDispatch>) -> Result<()> {
        Ok(())
    }

    /// `IRP_MJ_CLEANUP`: the last handle of a file object is closed. The requests through it that wait in queues of the filter must be cancelled; those
    /// that wait in none [the safe layer sees to](crate::irp#the-end-of-a-handle). The drivers below are told next.
    fn cleanup(&self, _file: FileObject, _irql: &mut Irql<UpToDispatch>) {}

    /// `IRP_MJ_CLOSE`: the last reference to a file object is gone. The drivers below are told next.
    fn close(&self, _file: FileObject, _irql: &mut Irql<UpToDispatch>) {}

    /// `IRP_MJ_READ`. It, and what follows, comes in every state of the device: what the drivers below do with it then is theirs to say.
    fn read<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.forward(irql)
    }

    /// `IRP_MJ_WRITE`.
    fn write<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.forward(irql)
    }

    /// `IRP_MJ_DEVICE_CONTROL`.
    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.forward(irql)
    }

    /// A request of another kind, [`Irp::major_function`] tells which: `IRP_MJ_INTERNAL_DEVICE_CONTROL`, which only drivers send, `IRP_MJ_FLUSH_BUFFERS`
    /// and so on. PnP, power and WMI are not among them.
    fn other_request<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.forward(irql)
    }
}
