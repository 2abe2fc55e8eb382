//! A deterministic machine that loads a shipped Windows driver image and runs it.
//!
//! The driver's `.sys` file runs unchanged on emulated x86-64 processors; behind its import table stands a model of the NT
//! kernel that behaves as Microsoft documents each routine. A seed decides every interleaving, so a run can be repeated
//! exactly. What Driver Verifier would stop for stops the run, with Windows' bug check code and parameters.
//!
//! - [`machine`]: build a machine, run a script on it.
//! - [`kernel`]: the handle that the model's own code works through.
//! - [`cpu`], [`sched`]: the emulated processors and the scheduler.
//! - [`ke`], [`mm`], [`ex`], [`rtl`], [`crt`], [`io`], [`ob`], [`ps`], [`se`], [`cm`], [`hal`]: the kernel model, by component.
//! - [`ddi`]: the table of exports and their IRQL contracts.
//! - [`trace`], [`report`], [`bugcheck`]: what a run leaves behind.
//! - [`image`], [`verifier`], [`bus`], [`devices`]: the driver's image, rules over runs, and hardware.

pub mod bugcheck;
pub mod bus;
pub mod cm;
pub mod cpu;
pub mod crt;
pub mod ddi;
pub mod devices;
pub mod ex;
pub mod hal;
pub mod image;
pub mod io;
pub mod ke;
pub mod kernel;
pub mod leftovers;
pub mod machine;
pub mod mm;
mod named;
pub mod ob;
pub mod po;
pub mod ps;
pub mod report;
pub mod rtl;
pub mod sched;
pub mod se;
pub mod status;
pub mod story;
pub mod system;
pub mod trace;
pub mod transport;
pub mod user;
pub mod verifier;

pub use bugcheck::{BugCheck, BugCheckCode, Halted, Outcome};
pub use kernel::{Config, Kernel};
pub use status::NtStatus;
