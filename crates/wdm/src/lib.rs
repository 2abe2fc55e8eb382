//! WDM without `unsafe`: the safe layer of a Windows kernel-mode driver, on Microsoft's
//! [windows-drivers-rs](https://github.com/microsoft/windows-drivers-rs).
//!
//! # A driver
//!
//! It implements [`DeviceExtension`] for what it keeps for one device, and ends with [`driver_entry!`]. This one maps its device's registers
//! and has a queue of requests, which a DPC finishes; it is the `Device` of the examples on the other pages.
//!
//! ```no_run
#![doc = include_str!("../doc/device.rs")]
//! # fn main() {}
//! ```
//!
//! A filter driver, which stands between the drivers of a stack and not at its bottom, implements [`FilterDevice`] instead, and ends with [`filter_entry!`].
//!
//! # Where to find what
//!
//! | in the documentation of WDM | here |
//! |---|---|
//! | `DriverEntry`, `AddDevice`, `DriverUnload` | [`driver_entry!`] |
//! | device extension, PnP and power | [`DeviceExtension`], [`Resources`], [`DevicePowerState`], [`DeviceFailure`] |
//! | filter driver | [`FilterDevice`], [`filter_entry!`] |
//! | dispatch routines | [`DeviceExtension::device_control`], `read`, `write`, `create`, … |
//! | `IRP`: buffers, completion | [`Irp`], [the ownership of IRPs](irp) |
//! | passing an IRP down, `IoCompletion` routines | [`Irp::forward`], [`AnyThreadRequest`], [`CompletionRoutine`], [`ReturnedIrp`] |
//! | requests to the lower driver | [`LowerDevice`], [`LowerRequest`] |
//! | cancel-safe queue | [`CancelSafeQueue`] |
//! | `StartIo`, `IoStartPacket`, `DpcForIsr` | [`StartIoQueue`], [`StartIo`], [`DpcForIsr`] |
//! | `InterruptService` routine, `SynchCritSection` | [`Interrupt`], [`InterruptService`] |
//! | `CustomDpc`, `CustomTimerDpc`, `CustomThreadedDpc` | [which type of DPC](dpc), [`CustomDpc`], [`Timer`], [`ThreadedDpc`] |
//! | spin lock, event | [`SpinLock`], [`Event`] |
//! | work item | [`WorkItem`], [`WorkRoutine`] |
//! | device registers | [`DeviceMemory`], [`MmioRegion`] |
//! | a device that has failed (`IoInvalidateDeviceState`) | [`DeviceFailure`] |
//! | DMA adapter, common buffer | [`CommonBuffer`] |
//! | pool | [`PoolBox`] |
//! | a device's parameters in the registry | [`HardwareKey`] |
//! | `UNICODE_STRING`, `NTSTATUS`, GUID | [`UnicodeString`], [`Error`], [`Status`], [`Guid`] |
//!
//! # What "safe" means here
//!
//! No safe function of this crate, and no macro used from safe code, can cause undefined behaviour, whatever its caller does,
//! [`core::mem::forget`] included. What keeps that promise:
//!
//! - **[IRQL](irql)** is a token that every callback is lent, and every DDI that has an IRQL contract asks for. A spin lock is held for the time of a
//!   closure, whose token allows neither a wait, nor a completion, nor a call of another driver.
//! - **An [IRP](irp)** is owned; a callback must return the proof that it disposed of the one that it was given. One that is dropped is
//!   completed with an error. One that is forgotten is never completed, and its device can not be removed: a leak, and no more.
//! - **The device extension** is lent as `&self`. Every IRP that is not completed holds the remove lock, and so does what runs in a completion routine;
//!   dispatch routines are counted, and removal waits for them; ISRs and DPCs are disconnected, and flushed, before the extension goes.
//! - **Kernel objects** ([`CustomDpc`], [`ThreadedDpc`], [`Timer`], [`Interrupt`], [`CancelSafeQueue`], [`StartIoQueue`], [`Event`], [`WorkItem`], [`DeviceMemory`],
//!   [`CommonBuffer`]) belong to this crate. Each is in nonpaged pool of its own, allocated by `AddDevice`, and on a list that no driver reaches. What lies in
//!   the extension, checked to lie there, is where to find it: whoever drops, overwrites or forgets that takes nothing from the system. Removal, and an
//!   `AddDevice` that fails, closes the objects at `PASSIVE_LEVEL`, drops the driver's value, and then frees them.
//! - **The drivers below** are called only while they are there: nothing reaches them, nor the bus driver, when `IRP_MN_REMOVE_DEVICE` has gone down.
//! - **What ISRs and DPCs share** is behind a [`SpinLock`], the interrupt spin lock ([`Interrupt::synchronize`]) or an atomic; what can be
//!   taken away under them is [`Revocable`]. Registers are, always: nobody reaches them while the device has no power, or is stopped or gone.
//! - **Memory that others write** (a program, by direct I/O; a device, by DMA) is copied in and out, and never a `&[u8]`. Output that was not written
//!   is not returned: an answer carries no byte by accident.
//! - **What the kernel sends a lower driver** is trusted there, so a driver sends [a request](LowerRequest) that somebody vouches for, and nothing else.
//!   What it passes down comes as the lower driver expects it, or [not at all](Irp::forward); from a queue, only if somebody vouches that it is [the same
//!   in every thread](AnyThreadRequest).
//! - **Allocation** asks for the token, can fail, and is never hidden: there is no global allocator.
//!
//! What must not compile is listed, and tried, in `crates/wdm/ui`.
//!
//! # What it does not do for you
//!
//! - Locks that are taken in two orders, a wait for what the waiting thread itself has to do, and recursion without end are safe in this sense, and
//!   stop the machine all the same.
//! - A device that is told a wrong address writes there, and so does one whose driver says [too early](DeviceExtension::dma_is_idle) that it writes no
//!   more. Registers are the driver's to know.
//! - There is no access to a program's addresses (`METHOD_NEITHER`, `METHOD_IN_DIRECT`'s output buffer), no scatter/gather DMA, no file-system or
//!   network interface, and no paged code: everything a driver has is nonpaged.

#![no_std]
#![doc(test(attr(deny(unused_imports, unused_variables, unused_mut, unused_must_use))))]

mod device;
mod device_interface;
mod device_memory;
mod dispatch;
mod dma;
pub mod dpc;
mod dpc_for_isr;
mod driver;
mod error;
mod event;
mod guid;
mod hardware_key;
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
mod timer;
mod unicode_string;
mod wait_lock;
mod work_item;

pub use device::{DeviceExtension, DeviceFailure, DeviceInit, FileObject, FilterDevice, IoMethod, StopReason};
pub use device_memory::DeviceMemory;
pub use dma::{CommonBuffer, DeviceDescription, LogicalAddress};
pub use dpc::{
    CustomDpc, DpcArgument, DpcRoutine, DpcSettings, Importance, ProcessorNumber, ThreadedDpc, ThreadedDpcRoutine,
    flush_queued_dpcs,
};
pub use dpc_for_isr::{DpcForIsr, DpcForIsrRoutine};
pub use error::{Error, Result};
pub use event::Event;
pub use guid::Guid;
pub use hardware_key::HardwareKey;
pub use interrupt::{Claim, Interrupt, InterruptService};
pub use irp::{
    AnyThreadRequest, Completed, CompletionRoutine, DeviceControl, Disposed, IoStatus, Irp, MajorFunction, ReadWrite,
    ReturnedIrp, Transfer,
};
pub use irql::Irql;
pub use lower_device::{LowerDevice, LowerRequest};
pub use mmio::MmioRegion;
pub use pool::PoolBox;
pub use power::DevicePowerState;
pub use queue::{
    CancelSafeQueue, LockedQueue, LockedStartIoQueue, QueueCounts, QueuedIrp, Serial, StartIo, StartIoQueue,
};
pub use resources::{InterruptResource, MemoryResource, Resources};
pub use revocable::Revocable;
pub use spin_lock::SpinLock;
pub use status::Status;
pub use thread::sleep;
pub use time::{TimeSpan, interrupt_time, performance_time};
pub use timer::{Timer, TimerRoutine};
pub use unicode_string::UnicodeString;
pub use work_item::{WorkItem, WorkRoutine};

/// For [`driver_entry!`] only.
#[doc(hidden)]
pub mod __private {
    pub use wdk_sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

    pub use crate::{
        driver::{load, load_filter},
        unicode_string::utf16,
    };
}
