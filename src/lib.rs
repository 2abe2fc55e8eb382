//! customdpc.sys: a WDM driver for QEMU's `edu` PCI device.
//!
//! | file | what it does | IRQL |
//! |---|---|---|
//! | `device.rs` | the device extension, and what PnP and power ask of it | PASSIVE |
//! | `requests.rs` | `IRP_MJ_READ`, `IRP_MJ_WRITE`, `IRP_MJ_DEVICE_CONTROL`: checks a request, answers it at once or queues it | at most DISPATCH |
//! | `isr.rs` | the interrupt service routine | DIRQL |
//! | `serial_queue.rs` | a queue whose requests the device works on one at a time | at most DISPATCH |
//! | `watchdog.rs` | the time within which the device has to be finished | at most DISPATCH |
//! | `deadline.rs` | a moment until which something is waited for | any |
//! | `compute/engine.rs` | the queue of factorials: what the device is told, and answers | at most DISPATCH |
//! | `compute/custom_dpc.rs` | its CustomDpc: finishes one, starts the next | DISPATCH |
//! | `compute/watchdog.rs` | its watchdog's DPC | DISPATCH |
//! | `raise/queue.rs` | the queue of requests to raise an interrupt, over the I/O manager's device queue | at most DISPATCH |
//! | `raise/start_io.rs` | its StartIo routine | DISPATCH |
//! | `raise/dpc_for_isr.rs` | the DpcForIsr, which finishes its current request | DISPATCH |
//! | `raise/watchdog.rs` | its watchdog's DPC | DISPATCH |
//! | `transfer/engine.rs` | the queue of transfers: what the device is told piece by piece, and answers | at most DISPATCH |
//! | `transfer/custom_dpc.rs` | its CustomDpc: finishes a piece, starts the next | DISPATCH |
//! | `transfer/watchdog.rs` | its watchdog's DPC | DISPATCH |
//! | `transfer/request.rs` | what a request wants transferred | at most DISPATCH |
//! | `transfer/dma_buffer.rs` | the memory that the device moves bytes to and from | at most DISPATCH |
//! | `doorbell/queue.rs` | the queue of requests that wait for an interrupt | at most DISPATCH |
//! | `doorbell/custom_dpc.rs` | its CustomDpc: completes those whose interrupt has come | DISPATCH |
//! | `liveness.rs` | liveness checks, which wait only while the device is held | at most DISPATCH |
//! | `statistics.rs` | what is counted | any |
//! | `parameters.rs` | what an administrator can set | PASSIVE to load, any to look |
//! | `registers.rs` | the device's registers | any |
//!
//! The driver is policy only: everything that needs `unsafe` is in the safe layer, [`wdm`].

#![no_std]
#![forbid(unsafe_code)]
// try_pin_init takes several steps for each field of the device extension.
#![recursion_limit = "256"]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of `Registers<'a>` by its name has one lifetime, and registers are lent for any"
)]

mod compute;
mod deadline;
mod device;
mod doorbell;
mod isr;
mod liveness;
mod parameters;
mod raise;
mod registers;
mod requests;
mod serial_queue;
mod statistics;
mod transfer;
mod watchdog;

// The panic handler. The release image has none: the build fails if a panic can be reached.
extern crate wdk_panic as _;

wdm::driver_entry!(device::EduDevice);
