//! Deferred procedure calls (DPCs): what an ISR leaves for later.
//!
//! An ISR runs at device IRQL, where hardly anything is allowed, and everything else on its processor waits for it. So it does what cannot wait, and
//! queues a DPC for the rest. The system calls the DPC's routine when the processor's IRQL is about to fall below `DISPATCH_LEVEL`.
//!
//! # Which type of DPC
//!
//! | | [`DpcForIsr`](crate::DpcForIsr) | [`CustomDpc`] | [`Timer`](crate::Timer), a `CustomTimerDpc` | [`ThreadedDpc`], a `CustomThreadedDpc` |
//! |---|---|---|---|---|
//! | how many | one for each device object, which has it | as many as the driver wants | one for each timer | as many as the driver wants |
//! | queued by | [`request`](crate::DpcForIsr::request), in an ISR only | [`queue`](CustomDpc::queue), at any IRQL | the system, when the time is up | [`queue`](ThreadedDpc::queue), at any IRQL |
//! | its routine is given | the IRP that was current then, and a context | two arguments | nothing | two arguments |
//! | its routine runs at | `DISPATCH_LEVEL` | `DISPATCH_LEVEL` | `DISPATCH_LEVEL` | `PASSIVE_LEVEL`, or `DISPATCH_LEVEL` where threaded DPCs are disabled |
//! | for | a device that does one thing at a time: its requests come through [`StartIo`](crate::StartIo), and the routine finishes the current one | a device that does several things at a time, with a queue of requests for each | what has to happen at a time, whether the device interrupts or not | work that need not stop the threads of the processor |
//!
//! A driver may have both: the device object's own DPC for what goes through the system's queue, and a `CustomDpc` for each queue of its own. With one
//! DPC for everything, its routine would have to find out each time what it runs for, and, since requests to run coalesce, to look at everything.
//!
//! The driver of this repository has both. Its device computes, moves data and raises interrupts independently of each other. What is raised goes
//! one at a time through the I/O manager's queue: `StartIo`, and the `DpcForIsr`. Factorials, transfers and waits have a cancel-safe queue and a
//! `CustomDpc` each: the ISR sees by the interrupt's cause which of them have something to do, and they run beside each other on several processors.
//!
//! # Queued twice, run once
//!
//! A DPC that is queued already is not queued again: `KeInsertQueueDpc` returns `FALSE` and does nothing, so the routine is given the arguments of
//! the call that queued it, **the first**, and those of the later ones are lost. An argument is right for what is true of the oldest event (the time
//! since when something waits), and wrong for what each event adds (which causes have come): that goes into memory that both look at, before the
//! DPC is queued. From the moment that the routine starts, the DPC can be queued again, and may then run on another processor at the same time.
//!
//! # The context
//!
//! A `KDPC` has three values for its routine. `DeferredContext` is set when it is initialised: here it is the device extension, which the routine is
//! lent as `&Device` (for a `DpcForIsr` it is the device object, as `IoInitializeDpcRequest` has it). `SystemArgument1` and `SystemArgument2` are
//! given when it is queued.
//!
//! # In Microsoft's documentation
//!
//! - [Introduction to DPC Objects](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-dpc-objects)
//! - [Which Type of DPC Should You Use?](https://learn.microsoft.com/windows-hardware/drivers/kernel/which-type-of-dpc-should-you-use-)
//! - [Registering and Queuing a CustomDpc Routine](https://learn.microsoft.com/windows-hardware/drivers/kernel/registering-and-queuing-a-customdpc-routine)
//! - [Registering and Queuing a DpcForIsr Routine](https://learn.microsoft.com/windows-hardware/drivers/kernel/registering-and-queuing-a-dpcforisr-routine)
//! - [Timer Objects and DPCs](https://learn.microsoft.com/windows-hardware/drivers/kernel/timer-objects-and-dpcs)
//! - [Introduction to Threaded DPCs](https://learn.microsoft.com/windows-hardware/drivers/kernel/introduction-to-threaded-dpcs)
//! - [Organization of DPC Queues](https://learn.microsoft.com/windows-hardware/drivers/kernel/organization-of-dpc-queues)
//! - [Guidelines for Writing DPC Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/guidelines-for-writing-dpc-routines)

mod argument;
mod custom;
mod kdpc;
mod processors;
mod settings;
mod threaded;

pub use argument::DpcArgument;
pub(crate) use argument::{check, from_raw, into_raw};
pub use custom::{CustomDpc, DpcRoutine};
pub(crate) use kdpc::Kdpc;
pub(crate) use processors::go_to_every_processor;
pub use settings::{DpcSettings, Importance, ProcessorNumber};
pub use threaded::{ThreadedDpc, ThreadedDpcRoutine};
use wdk_sys::ntddk::KeFlushQueuedDpcs;

use crate::irql::{Irql, Passive};

/// Waits until every DPC that is queued now, on any processor, has run. IRQL: `PASSIVE_LEVEL`. DDI: `KeFlushQueuedDpcs`.
///
/// No page says that this waits for [threaded DPCs](ThreadedDpc).
pub fn flush_queued_dpcs(_irql: &mut Irql<Passive>) {
    // SAFETY: PASSIVE_LEVEL, as the token proves.
    unsafe { KeFlushQueuedDpcs() };
}
