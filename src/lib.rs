//! customdpc.sys: a WDM driver for QEMU's `edu` PCI device.
//!
//! | file | what it does | IRQL |
//! |---|---|---|
//! | `device.rs` | the device extension, and what PnP asks of it | PASSIVE |
//! | `requests.rs` | `IRP_MJ_DEVICE_CONTROL`: checks a request, answers it at once or queues it | at most DISPATCH |
//! | `isr.rs` | the interrupt service routine | DIRQL |
//! | `compute/queue.rs` | the queue of factorials: starts one on the device | at most DISPATCH |
//! | `compute/custom_dpc.rs` | its CustomDpc: finishes one, starts the next | DISPATCH |
//! | `registers.rs` | the device's registers | any |
//!
//! The driver is policy only: everything that needs `unsafe` is in the safe layer, [`wdm`].

#![no_std]
#![forbid(unsafe_code)]

mod compute;
mod device;
mod isr;
mod registers;
mod requests;

// The panic handler. The release image has none: the build fails if a panic can be reached.
extern crate wdk_panic as _;

wdm::driver_entry!(device::EduDevice);
