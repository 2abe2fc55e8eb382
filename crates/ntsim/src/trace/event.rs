//! The kinds of events.

use std::fmt;

use crate::{
    bus::iommu::Transfer,
    ke::{Irql, interrupt::Source},
    mm::{Pa, Va},
    sched::VirtualTime,
    status::NtStatus,
};

/// Who an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Part of the story that a person follows.
    Story,
    /// For those who want everything.
    Detail,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A driver image was loaded.
    ImageLoaded {
        /// Its file name.
        name: String,
        /// Where.
        base: Va,
        /// Bytes.
        size: u64,
    },
    /// A thread was created.
    ThreadCreated {
        /// Its name.
        name: String,
    },
    /// A processor began to run a thread.
    ThreadSwitchedIn {
        /// Its name.
        name: String,
    },
    /// A thread began to wait.
    ThreadWaits {
        /// For what.
        why: String,
    },
    /// A thread ended.
    ThreadEnded,
    /// The guest called a kernel routine.
    Called {
        /// Its name.
        routine: &'static str,
        /// Its arguments.
        arguments: Vec<u64>,
        /// At which IRQL.
        irql: Irql,
    },
    /// A kernel routine returned to the guest.
    Returned {
        /// Its name.
        routine: &'static str,
        /// rax.
        value: u64,
    },
    /// The model called into the guest.
    Entered {
        /// What it called.
        label: &'static str,
        /// Where.
        routine: Va,
        /// At which IRQL.
        irql: Irql,
    },
    /// A guest routine returned to the model.
    Left {
        /// What returned.
        label: &'static str,
        /// rax.
        value: u64,
    },
    /// A DPC was queued.
    DpcQueued {
        /// The KDPC.
        dpc: Va,
        /// To which processor.
        processor: usize,
    },
    /// A DPC was queued already: the request coalesced with the earlier one.
    DpcCoalesced {
        /// The KDPC.
        dpc: Va,
    },
    /// A DPC routine is about to run.
    DpcStarted {
        /// The KDPC.
        dpc: Va,
        /// The routine.
        routine: Va,
    },
    /// A DPC routine has returned.
    DpcFinished {
        /// The KDPC.
        dpc: Va,
    },
    /// A timer was set.
    TimerSet {
        /// The KTIMER.
        timer: Va,
        /// When it expires.
        due: VirtualTime,
    },
    /// A timer's time has come.
    TimerExpired {
        /// The KTIMER.
        timer: Va,
    },
    /// An interrupt was connected.
    InterruptConnected {
        /// What interrupts.
        source: Source,
        /// At which level its ISR runs.
        irql: Irql,
    },
    /// An interrupt was disconnected.
    InterruptDisconnected {
        /// What interrupts.
        source: Source,
    },
    /// A processor took an interrupt.
    InterruptDelivered {
        /// What interrupts.
        source: Source,
        /// The IRQL it interrupted.
        interrupted: Irql,
    },
    /// The interrupt's ISRs have run.
    InterruptServiced {
        /// What interrupts.
        source: Source,
        /// An ISR said it was its device's.
        claimed: bool,
    },
    /// An exception was raised.
    ExceptionRaised {
        /// What it is.
        status: NtStatus,
        /// Where.
        address: Va,
    },
    /// A filter has let execution go on.
    ExceptionContinued {
        /// Where.
        address: Va,
    },
    /// The stack was unwound, and execution goes on.
    Unwound {
        /// Where.
        target: Va,
    },
    /// An I/O port was read.
    PortRead {
        /// Its number.
        port: u16,
        /// Bytes.
        width: u8,
        /// What the device answered.
        value: u64,
    },
    /// An I/O port was written.
    PortWritten {
        /// Its number.
        port: u16,
        /// Bytes.
        width: u8,
        /// What was written.
        value: u64,
    },
    /// A device register was read.
    RegisterRead {
        /// Its physical address.
        address: Pa,
        /// Bytes.
        width: u8,
        /// What the device answered.
        value: u64,
    },
    /// A device register was written.
    RegisterWritten {
        /// Its physical address.
        address: Pa,
        /// Bytes.
        width: u8,
        /// What was written.
        value: u64,
    },
    /// A device read or wrote memory by itself.
    DmaDone {
        /// The device's slot.
        slot: u8,
        /// What it did.
        transfer: Transfer,
        /// The logical address.
        address: u64,
        /// Bytes.
        length: u64,
    },
    /// The driver printed something.
    Printed(String),
    /// An IRP was allocated.
    IrpCreated {
        /// The IRP.
        irp: Va,
        /// Its major function code's name.
        what: &'static str,
    },
    /// An IRP was put into a cancel-safe queue.
    IrpQueued {
        /// The IRP.
        irp: Va,
        /// The queue.
        csq: Va,
    },
    /// An IRP was taken off a cancel-safe queue by its driver.
    IrpDequeued {
        /// The IRP.
        irp: Va,
        /// The queue.
        csq: Va,
    },
    /// An IRP was put into its device's queue, because the device is busy.
    IrpHeld {
        /// The IRP.
        irp: Va,
        /// The device object.
        device: Va,
    },
    /// An IRP became the current one of its device: StartIo is called for it.
    IrpStarted {
        /// The IRP.
        irp: Va,
        /// The device object.
        device: Va,
    },
    /// Somebody asked for an IRP to be cancelled.
    IrpCancelRequested {
        /// The IRP.
        irp: Va,
        /// It had a cancel routine, which is called now.
        cancellable: bool,
    },
    /// An IRP was completed.
    IrpCompleted {
        /// The IRP.
        irp: Va,
        /// Its major function code's name.
        what: &'static str,
        /// With which status.
        status: NtStatus,
        /// Bytes, as a rule.
        information: u64,
    },
    /// Anything else, in words, for the story.
    Note(String),
    /// Anything else, in words, for those who want everything.
    Detail(String),
}

impl Event {
    /// Who the event is for.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::ImageLoaded { .. }
            | Self::DpcStarted { .. }
            | Self::TimerExpired { .. }
            | Self::InterruptConnected { .. }
            | Self::InterruptDisconnected { .. }
            | Self::InterruptServiced { claimed: true, .. }
            | Self::DmaDone { .. }
            | Self::IrpQueued { .. }
            | Self::IrpDequeued { .. }
            | Self::IrpHeld { .. }
            | Self::IrpStarted { .. }
            | Self::IrpCancelRequested { .. }
            | Self::Printed(_)
            | Self::Note(_) => Level::Story,
            Self::IrpCreated { what, .. } | Self::IrpCompleted { what, .. } if is_request(what) => Level::Story,
            _ => Level::Detail,
        }
    }
}

/// Whether an IRP is a program's request, rather than the system's own.
fn is_request(major: &str) -> bool {
    matches!(major, "IRP_MJ_DEVICE_CONTROL" | "IRP_MJ_READ" | "IRP_MJ_WRITE")
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageLoaded { name, base, size } => {
                write!(f, "{name} loaded at {base}, {size:#x} bytes")
            }
            Self::ThreadCreated { name } => write!(f, "thread {name} created"),
            Self::ThreadSwitchedIn { name } => write!(f, "runs thread {name}"),
            Self::ThreadWaits { why } => write!(f, "waits: {why}"),
            Self::ThreadEnded => f.write_str("thread ended"),
            Self::Called {
                routine,
                arguments,
                irql,
            } => {
                write!(f, "{routine}(")?;
                for (index, argument) in arguments.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{argument:#x}")?;
                }
                write!(f, ") at {irql}")
            }
            Self::Returned { routine, value } => write!(f, "{routine} = {value:#x}"),
            Self::Entered { label, routine, irql } => write!(f, "-> {label} {routine} at {irql}"),
            Self::Left { label, value } => write!(f, "<- {label} = {value:#x}"),
            Self::DpcQueued { dpc, processor } => write!(f, "DPC {dpc} queued to cpu{processor}"),
            Self::DpcCoalesced { dpc } => write!(f, "DPC {dpc} is queued already"),
            Self::DpcStarted { dpc, routine } => write!(f, "DPC {dpc} runs {routine}"),
            Self::DpcFinished { dpc } => write!(f, "DPC {dpc} has run"),
            Self::TimerSet { timer, due } => {
                write!(f, "timer {timer} set to {}.{:03} µs", due / 1000, due % 1000)
            }
            Self::TimerExpired { timer } => write!(f, "timer {timer} expires"),
            Self::InterruptConnected { source, irql } => {
                write!(f, "interrupt connected: {source}, {irql}")
            }
            Self::InterruptDisconnected { source } => write!(f, "interrupt disconnected: {source}"),
            Self::InterruptDelivered { source, interrupted } => {
                write!(f, "interrupt by {source}, over {interrupted}")
            }
            Self::InterruptServiced { source, claimed } => {
                let answer = if *claimed { "claimed" } else { "not claimed" };
                write!(f, "interrupt by {source} {answer}")
            }
            Self::ExceptionRaised { status, address } => write!(f, "exception {status} at {address}"),
            Self::ExceptionContinued { address } => write!(f, "the exception is dismissed, on with {address}"),
            Self::Unwound { target } => write!(f, "the exception is handled, on with {target}"),
            Self::PortRead { port, width, value } => write!(f, "port read {port:#x} ({width} bytes) = {value:#x}"),
            Self::PortWritten { port, width, value } => {
                write!(f, "port write {port:#x} ({width} bytes) = {value:#x}")
            }
            Self::RegisterRead { address, width, value } => {
                write!(f, "device read {address} ({width} bytes) = {value:#x}")
            }
            Self::RegisterWritten { address, width, value } => {
                write!(f, "device write {address} ({width} bytes) = {value:#x}")
            }
            Self::DmaDone {
                slot,
                transfer,
                address,
                length,
            } => write!(f, "DMA {transfer} by device {slot}: {length} bytes at {address:#x}"),
            Self::Printed(text) => write!(f, "DbgPrint: {}", text.trim_end()),
            Self::IrpCreated { irp, what } => write!(f, "IRP {irp} created: {what}"),
            Self::IrpQueued { irp, csq } => write!(f, "IRP {irp} queued in {csq}"),
            Self::IrpDequeued { irp, csq } => write!(f, "IRP {irp} taken off {csq}"),
            Self::IrpHeld { irp, device } => write!(f, "IRP {irp} waits in the queue of device {device}"),
            Self::IrpStarted { irp, device } => write!(f, "StartIo of device {device} called for IRP {irp}"),
            Self::IrpCancelRequested { irp, cancellable } => {
                let answer = if *cancellable {
                    "cancel routine called"
                } else {
                    "no cancel routine set"
                };
                write!(f, "IRP {irp} to be cancelled: {answer}")
            }
            Self::IrpCompleted {
                irp,
                what,
                status,
                information,
            } => write!(f, "IRP {irp} completed: {what}, {status}, information {information}"),
            Self::Note(text) | Self::Detail(text) => f.write_str(text),
        }
    }
}
