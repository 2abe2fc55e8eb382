//! The model of edu against QEMU's own.
//!
//! These tests start QEMU (Debian's package qemu-system-x86), and one of them runs the shipped driver. `cargo xtask test QEMU` installs the one,
//! builds the other, and runs them.
//!
//! The model has the profile [`EduProfile::as_qemu`](ntsim::devices::EduProfile::as_qemu). These rules keep a random sequence away from what
//! cannot be compared:
//!
//! - **No abort.** A command starts a transfer only when the range lies in the buffer and the address in memory. QEMU 7.2 aborts at another
//!   range, and the model ends the run; another address is no memory.
//! - **Decoding and bus mastering are on when a transfer ends.** ntsim ends a run in which a device that is not bus master accesses memory. QEMU
//!   makes the transfer, in which reads give 0 and writes are lost.
//! - **A factorial ends before the next operation.** When QEMU's thread is done is a matter of the host's time. What registers read as in
//!   between is compared in the pairing of the model with [`QemuEdu`](ntsim::devices::qemu::QemuEdu), whose time is virtual, and with QEMU
//!   itself by a factorial that takes long.
//! - **Configuration space is compared where its content is the device's**: not the interrupt line and pin, which the machine assigns, nor where
//!   messages go.
//!
//! Everything else is: addresses that nobody decodes, a reset, MSI switched on and off, INTx disable, and accesses of every width and alignment.

use std::path::{Path, PathBuf};

mod computing;
mod differential;
mod failures;
mod operation;
mod selftest;
mod subject;

/// The shipped driver, which `cargo xtask build` leaves there.
fn driver() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("target/driver/release/customdpc.sys");
    assert!(
        path.exists(),
        "{} is missing; `cargo xtask build` builds it",
        path.display()
    );
    path
}

/// Starts QEMU.
fn qemu() -> ntsim::devices::qemu::Qemu {
    let started = ntsim::devices::qemu::Qemu::start(&ntsim::devices::qemu::QemuOptions::default());
    started.unwrap_or_else(|error| panic!("{error}"))
}
