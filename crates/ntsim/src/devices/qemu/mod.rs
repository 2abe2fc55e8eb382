//! QEMU's own `edu`, in a QEMU process: what the model of it is measured by, and a device that can take its place.
//!
//! QEMU is started without a guest. A boot image halts the processor, and the PC is stopped, so that its clock stands. Over the qtest protocol
//! registers, configuration space and memory are read and written, and the inputs of the interrupt controller are watched. A [`Qemu`] is that
//! PC; a [`QemuEdu`] is its edu as a device of the machine.
//!
//! # Time
//!
//! The machine's time is virtual and QEMU's is not, so the machine says when something is done:
//!
//! - A transfer ends when QEMU's clock says so. That clock stands, except while [`Qemu::finish_transfer`] lets it run: at the end of the
//!   transfer in the machine's time. Before, the registers read as those of a running transfer, because one runs.
//! - A factorial is computed by a thread of QEMU's, which no clock holds up. It is given the number only at the end of the computation in the
//!   machine's time, and is waited for.
//!
//! A run is thus a function of image, script and seed, as with the model. What cannot be had this way: a computation that is seen to end
//! between its result and its interrupt, as [`EduProfile::step_latency`](super::EduProfile) makes it in the model.
//!
//! # Memory
//!
//! A device of the machine reaches memory through the machine's IOMMU, and QEMU's edu reaches QEMU's memory. When a transfer is due, the bytes
//! that it reads are taken through the IOMMU and put into QEMU's memory first, at the address that the device uses; what it has written is
//! taken from there, and goes through the IOMMU. Every check of the IOMMU is made, at the time at which the model would be checked.
//!
//! # Interrupts
//!
//! The line is the input of QEMU's I/O APIC that the device's pin is wired to: QEMU reports each change ahead of the answer to a command.
//! Messages are sent to a word of QEMU's memory, which is looked at after all that may have sent one.
//!
//! # Failure
//!
//! Every answer is waited for as long as [`QemuOptions::patience`] says. A QEMU that has ended or does not answer ends the run with
//! [`DeviceFault::Host`](crate::bus::DeviceFault), which is no fault of the driver's.

mod boot_image;
mod channel;
mod device;
mod error;
mod pc;
mod pci;
mod process;
mod qmp;
mod qtest;

pub use device::QemuEdu;
pub use error::QemuError;
pub use pc::Qemu;
pub use process::QemuOptions;
