//! A deterministic machine that loads a shipped Windows driver image and runs it.
//!
//! The driver's `.sys` file runs unchanged on emulated x86-64 processors; behind its import table stands a model of the NT
//! kernel that behaves as Microsoft documents each routine. A seed decides every interleaving, so a run can be repeated
//! exactly. What Driver Verifier would stop for stops the run, with Windows' bug check code and parameters.
//!
//! # Boot a driver
//!
//! A [`machine::Machine`] has processors, memory, a bus and the kernel model. Devices are plugged in and images loaded before it runs.
//!
//! ```no_run
//! use ntsim::{Config, devices::{Edu, EduProfile}, machine::{DriverImage, Machine}};
//!
//! let mut machine = Machine::new(Config { seed: 7, ..Config::default() })?;
//! let slot = machine.plug(Box::new(Edu::new(EduProfile::default())))?;
//! machine.load(&DriverImage::open("customdpc.sys".as_ref())?)?;
//! // DriverEntry, AddDevice, IRP_MN_START_DEVICE. None: the driver broke a rule on the way.
//! match machine.start("customdpc", slot) {
//!     Some(Ok(system)) => {
//!         // IRP_MN_REMOVE_DEVICE, DriverUnload, and a look at what is left behind.
//!         let _ = machine.shut_down("customdpc", system);
//!     }
//!     Some(Err(failure)) => println!("{failure}"),
//!     None => {}
//! }
//! // The report of the broken rule, if one was: bug check, parameters, call stack with source lines, the last events.
//! if let Some(report) = machine.crash_report(None) {
//!     println!("{report}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Send an IOCTL
//!
//! A program is an asynchronous function in a user-mode thread of the machine. [`user`] has its system calls. What it awaits takes virtual time
//! only.
//!
//! ```no_run
//! use ntsim::{Kernel, Outcome, sched::ThreadSpec, user::{FILE_READ_DATA, Handle}};
//! # fn example(machine: &ntsim::machine::Machine) {
//!
//! const IOCTL_FIVE: u32 = 0x0022_2000;
//!
//! async fn program(k: Kernel) -> Outcome<()> {
//!     let opened = Handle::open(&k, r"\\.\Five", FILE_READ_DATA).await?;
//!     let handle = opened.expect("the driver has made the device");
//!     let request = handle.device_io_control(&k, IOCTL_FIVE, &[], 4).await?;
//!     let completion = request.wait(&k).await?;
//!     println!("{}: {:?}", completion.status, completion.output);
//!     handle.close(&k).await
//! }
//!
//! machine.spawn(ThreadSpec::user("program"), program);
//! let _ = machine.run();
//! # }
//! ```
//!
//! # Write a device model
//!
//! A device implements [`bus::Device`]: who it is, which address ranges it wants, what a read and a write do. It has no clock and no source of
//! chance of its own, so that a run can be repeated. This one has a register that counts its reads.
//!
//! ```
//! use ntsim::{
//!     Config,
//!     bus::{BarRequest, BusContext, Device, DeviceFault, PciIdentity, Width},
//!     machine::Machine,
//! };
//!
//! #[derive(Debug, Default)]
//! struct Counter {
//!     reads: u64,
//! }
//!
//! impl Device for Counter {
//!     fn name(&self) -> &'static str {
//!         "counter"
//!     }
//!
//!     fn identity(&self) -> PciIdentity {
//!         PciIdentity { vendor: 0x1234, device: 0x0001, revision: 0, class: 0x00FF_0000, subsystem_vendor: 0, subsystem: 0 }
//!     }
//!
//!     fn bars(&self) -> &[BarRequest] {
//!         &[BarRequest { size: 0x1000 }]
//!     }
//!
//!     fn read(&mut self, _: &mut BusContext<'_>, _bar: usize, _offset: u64, width: Width) -> Result<u64, DeviceFault> {
//!         self.reads += 1;
//!         Ok(self.reads & width.ones())
//!     }
//! }
//!
//! let mut machine = Machine::new(Config::default())?;
//! let slot = machine.plug(Box::new(Counter::default()))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Add a DDI
//!
//! A routine has a name, a number of arguments, an IRQL contract and a body. Bodies that run in one go are functions; those that call the
//! driver, wait or spin are flows. [`Machine::with_registry`](machine::Machine::with_registry) adds routines to one machine; a component of the
//! model adds its own in its `register` function.
//!
//! ```
//! use ntsim::{Config, NtStatus, ddi::Contract, ke::Irql, machine::Machine};
//!
//! let machine = Machine::with_registry(Config::default(), |registry| {
//!     // NTSTATUS VendorDouble(ULONG value, ULONG *result), IRQL <= DISPATCH_LEVEL
//!     registry.function("VendorDouble", 2, Contract::at_most(Irql::DISPATCH), |k, args| {
//!         let Some(double) = args.u32(0).checked_mul(2) else {
//!             return Ok(NtStatus::INVALID_PARAMETER);
//!         };
//!         // A driver that passes a bad pointer gets the bug check that Windows would raise.
//!         k.write(args.va(1), double)?;
//!         Ok(NtStatus::SUCCESS)
//!     });
//! })?;
//! # Ok::<(), ntsim::machine::MachineError>(())
//! ```
//!
//! # Read a report
//!
//! A run that breaks a rule ends, and [`Kernel::crash`] says how. The first line of a report is Windows' bug check; then come what happened and
//! what to do about it, the four parameters, the rule, the call stack with source lines, and the last events.
//!
//! ```
//! use ntsim::{Config, machine::Machine, sched::{RunEnd, ThreadSpec}};
//!
//! let machine = Machine::new(Config::default())?;
//! machine.spawn(ThreadSpec::system("waiter"), |k| async move {
//!     // Nothing will ever wake this thread.
//!     k.block("a reply that never comes", None).await.map(|_| ())
//! });
//! assert_eq!(machine.run(), RunEnd::Crashed);
//! let kernel = machine.kernel();
//! let crash = kernel.crash().expect("a rule was broken");
//! assert_eq!(crash.bugcheck.rule, "hang");
//! assert!(crash.bugcheck.message.contains("a reply that never comes"));
//! let report = machine.crash_report(Some("cargo test".to_owned())).expect("a rule was broken");
//! assert!(report.contains("rule hang"));
//! assert!(report.contains("again: cargo test"));
//! # Ok::<(), ntsim::machine::MachineError>(())
//! ```
//!
//! # Where things are
//!
//! - [`machine`]: build a machine, run a script on it.
//! - [`kernel`]: the handle that the model's own code works through.
//! - [`cpu`], [`sched`]: the emulated processors and the scheduler.
//! - [`ke`], [`mm`], [`ex`], [`rtl`], [`crt`], [`io`], [`ob`], [`fs`], [`ps`], [`se`], [`cm`], [`hal`], [`po`], [`wmi`], [`etw`]: the kernel model, by component.
//! - [`ddi`]: the table of exports and their IRQL contracts.
//! - [`trace`], [`report`], [`bugcheck`], [`profile`]: what a run leaves behind.
//! - [`image`], [`verifier`], [`bus`], [`devices`]: the driver's image, rules over runs, and hardware.

pub mod bugcheck;
pub mod bus;
pub mod cm;
pub mod cpu;
pub mod crt;
pub mod ddi;
pub mod devices;
pub mod etw;
pub mod ex;
pub mod exception;
pub mod fs;
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
pub mod profile;
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
pub mod wmi;

pub use bugcheck::{BugCheck, BugCheckCode, Halted, Outcome};
pub use kernel::{Config, Kernel};
pub use status::NtStatus;
