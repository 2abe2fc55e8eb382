//! QEMU's `edu` PCI device, as everyone who deals with it sees it.
//!
//! The driver, the app and the simulated device share this crate, so a register offset or a control code is written down
//! once. It is `no_std`, free of `unsafe` and of anything that belongs to one operating system, and its tests run on any host.
//!
//! | module | what it states | rests on |
//! |---|---|---|
//! | [`pci`] | the ids by which the device is found | QEMU's `docs/specs/edu` |
//! | [`registers`] | BAR 0: offsets, bits, identification | QEMU's `docs/specs/edu` |
//! | [`dma`] | the device's own buffer and its address width | QEMU's `docs/specs/edu`, `hw/misc/edu.c` |
//! | [`factorial`] | what the factorial unit answers | QEMU's `docs/specs/edu` |
//! | [`engine`] | who may start an engine of the device, and what to do when its time is up | this project |
//! | [`arrivals`] | which interrupts have come, as the ISR notes them | this project |
//! | [`stamp`] | when an interrupt came, as the ISR hands it over to a DPC | this project |
//! | [`transfer`] | which bytes of the device's buffer a request moves, piece by piece | this project |
//! | [`interface`] | the device interface that the driver registers | this project |
//! | [`ioctl`] | control codes and the buffers of each request | this project; `CTL_CODE` as in Microsoft's documentation |
#![no_std]
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod dma;
pub mod engine;
pub mod factorial;
pub mod interface;
pub mod ioctl;
pub mod pci;
pub mod registers;
pub mod stamp;
pub mod transfer;
mod version;

pub use version::VERSION;
