//! WDM without `unsafe`: the safe layer of a Windows kernel-mode driver, on Microsoft's
//! [windows-drivers-rs](https://github.com/microsoft/windows-drivers-rs).
//!
//! No safe function of this crate, and no macro used from safe code, can cause undefined behaviour, whatever its caller does. What keeps
//! that promise:
//!
//! - **[IRQL](irql)** is a token that every callback is lent, and every DDI that has an IRQL contract asks for.
//! - **An [IRP](irp)** is owned; a callback must return the proof that it disposed of the one that it was given.
//! - **Kernel objects** ([`CustomDpc`], [`DpcForIsr`], [`Interrupt`], [`CancelSafeQueue`], [`StartIoQueue`], [`Event`]) are initialised in place
//!   in the [device extension](DeviceExtension), and the extension goes only when the system holds on to none of them.
//! - **What ISRs and DPCs share** is behind a [`SpinLock`], the interrupt spin lock ([`Interrupt::synchronize`]) or an atomic; what can be
//!   taken away under them is [`Revocable`].
//!
//! A driver implements [`DeviceExtension`] and ends with [`driver_entry!`]. One with a DPC, and nothing for it to do:
//!
//! ```no_run
//! use pinned_init::{PinInit, pin_data, try_pin_init};
//! use wdm::{
//!     CustomDpc, DeviceExtension, DeviceInit, DpcRoutine, Guid, Irql, Resources, Result, Status, StopReason,
//!     irql::{Dispatch, Passive},
//! };
//!
//! #[pin_data]
//! struct Device {
//!     #[pin]
//!     dpc: CustomDpc<Dpc>,
//! }
//!
//! enum Dpc {}
//!
//! impl DpcRoutine for Dpc {
//!     type Device = Device;
//!
//!     fn run(_device: &Device, _irql: &mut Irql<Dispatch>) {}
//! }
//!
//! impl DeviceExtension for Device {
//!     const INTERFACE: Option<Guid> = None;
//!
//!     fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Status> {
//!         try_pin_init!(Self { dpc <- CustomDpc::new(device) }? Status)
//!     }
//!
//!     fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
//!         self.dpc.queue();
//!         Ok(())
//!     }
//!
//!     fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}
//!
//!     fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}
//! }
//! # fn main() {}
//! ```

#![no_std]
#![doc(test(attr(deny(unused_imports, unused_variables, unused_mut, unused_must_use))))]

mod device;
mod device_interface;
mod dispatch;
mod dma;
mod dpc;
mod dpc_for_isr;
mod driver;
mod event;
mod guid;
mod interrupt;
pub mod irp;
pub mod irql;
mod layout;
mod lower_device;
mod mmio;
mod pool;
mod power;
mod queue;
mod resources;
mod revocable;
mod shared_memory;
mod spin_lock;
mod status;
mod thread;
mod time;
mod unicode_string;
mod wait_lock;

pub use device::{DeviceExtension, DeviceInit, FileObject, IoMethod, StopReason};
pub use dma::{CommonBuffer, DeviceDescription, LogicalAddress};
pub use dpc::{CustomDpc, DpcRoutine, flush_queued_dpcs};
pub use dpc_for_isr::{DpcForIsr, DpcForIsrRoutine};
pub use event::Event;
pub use guid::Guid;
pub use interrupt::{Claim, Interrupt, InterruptService};
pub use irp::{
    Completed, CompletionRoutine, DeviceControl, Disposed, IoStatus, Irp, MajorFunction, ReadWrite, Transfer,
};
pub use irql::Irql;
pub use lower_device::LowerDevice;
pub use mmio::MmioRegion;
pub use pool::PoolBox;
pub use power::DevicePowerState;
pub use queue::{CancelSafeQueue, QueueCounts, QueuedIrp, Serial, StartIo, StartIoQueue};
pub use resources::{InterruptResource, MemoryResource, Resources};
pub use revocable::Revocable;
pub use spin_lock::SpinLock;
pub use status::{Result, Status};
pub use time::interrupt_time;
pub use unicode_string::UnicodeString;

/// For [`driver_entry!`] only.
#[doc(hidden)]
pub mod __private {
    pub use wdk_sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

    pub use crate::{driver::load, unicode_string::utf16};
}
