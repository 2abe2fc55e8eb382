//! What the deliberately broken drivers have in common: everything but what each does wrong.
//!
//! Each driver of this directory breaks one rule of the kernel, where its source says BUG. The scenarios drive it on the
//! simulated machine and expect the report to name that very line. So all the rest has to be right, and is here: a WDM function
//! driver for the edu device, written on the bindings alone, because the safe layer (`crates/wdm`) would not compile most of what they do.
//!
//! A driver implements [`TestDriver`] and ends with [`driver_entry!`]. It serves one request, `IOCTL_EDU_FACTORIAL`, as it likes; to raise
//! the device's interrupt and so get its ISR and its DPC going it writes to a register ([`Device::raise_interrupt`]).
#![no_std]

mod add_device;
mod device;
mod dispatch;
mod entry;
mod interrupt;
mod irp;
mod pnp;
pub mod remove_lock;
mod request;
mod resources;

pub use device::Device;
pub use irp::{forward_and_wait, mark_pending, pass_down, set_status, stack_location};
pub use request::{asks_for_fault, finish};
use wdk_sys::{DEVICE_OBJECT, DRIVER_OBJECT, NTSTATUS, PDEVICE_OBJECT, PIRP};
use zerocopy::FromZeros;

// The panic handler of every test driver.
extern crate wdk_panic as _;

/// A driver that is right but for one thing.
pub trait TestDriver: Sized + 'static {
    /// What it keeps in the device extension, zeroed at first.
    type State: FromZeros;

    /// The driver object, with the dispatch routines that every test driver has: for those that a driver has instead.
    fn routines(_driver: &mut DRIVER_OBJECT) {}

    /// A new device object, attached to its stack and marked as initialising still.
    fn adapt(_device: &mut DEVICE_OBJECT) {}

    /// `IOCTL_EDU_FACTORIAL`: completes the IRP, and returns the status that it was completed with. The device has been started.
    ///
    /// IRQL: that of the sender, `PASSIVE_LEVEL` for a program.
    ///
    /// # Safety
    /// The IRP must be at this driver, and the caller gives it up.
    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS;

    /// A PnP request, before anything else is done with it: the status to return when the driver has completed it or passed it to `lower`; none
    /// to have done what is usual. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Safety
    /// The IRP must be at this driver, and the caller gives it up when there is a status; `lower` must be the next-lower device object.
    unsafe fn plug_and_play(
        _device: Device<Self>,
        _lower: PDEVICE_OBJECT,
        _irp: PIRP,
        _minor: u32,
    ) -> Option<NTSTATUS> {
        None
    }

    /// The interrupt service routine: whether the interrupt was the device's own. Unless a driver has another one, it acknowledges what
    /// the device raised and queues the DPC. IRQL: the device's.
    #[must_use]
    fn service(device: Device<Self>) -> bool {
        device.take_interrupt()
    }

    /// The DPC. IRQL: `DISPATCH_LEVEL`.
    fn deferred(_device: Device<Self>) {}
}

/// For [`driver_entry!`] only.
#[doc(hidden)]
pub mod __private {
    pub use wdk_sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

    pub use crate::entry::load;
}
