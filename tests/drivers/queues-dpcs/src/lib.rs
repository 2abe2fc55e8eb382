//! A driver that queues DPCs of every type that a driver can queue itself, in the ways that `protocol.rs` names. Nothing in here is wrong: the
//! scenarios look for what is in the safe layer, and in the machine.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

mod protocol;

use edu::interface::GUID_DEVINTERFACE_EDU;
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CustomDpc, DeviceExtension, DeviceInit, Disposed, DpcRoutine, DpcSettings, Error, Guid, Importance, Irp, Irql,
    ProcessorNumber, Resources, Result, SpinLock, StopReason, ThreadedDpc, ThreadedDpcRoutine,
    irql::{AtMostDispatch, Dispatch, Passive, Threaded, UpToDispatch},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use protocol::{
    Arguments, FIRST, HIGH, LOW, MEDIUM, ON_SECOND, QUEUE_AND_REMOVE, QUEUE_BY_IMPORTANCE, QUEUE_SLOW, QUEUE_THREADED,
    QUEUE_TO_SECOND, QUEUE_TWICE, RUNS, SECOND, TELL, THREADED,
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Device);

/// What the driver keeps for its device.
#[pin_data]
pub struct Device {
    #[pin]
    low: CustomDpc<Ordinary<LOW>>,
    #[pin]
    medium: CustomDpc<Ordinary<MEDIUM>>,
    #[pin]
    high: CustomDpc<Ordinary<HIGH>>,
    #[pin]
    on_second: CustomDpc<Ordinary<ON_SECOND>>,
    #[pin]
    threaded: ThreadedDpc<InThread>,
    #[pin]
    slow: ThreadedDpc<Slow>,
    /// Held where no DPC is to run on this processor.
    hold: SpinLock<()>,
    runs: SpinLock<[u64; RUNS]>,
}

/// `SystemArgument2`.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Halves([u16; 2]);

/// An ordinary DPC.
enum Ordinary<const DPC: u32> {}

impl<const DPC: u32> DpcRoutine for Ordinary<DPC> {
    type Device = Device;
    type SystemArgument1 = u32;
    type SystemArgument2 = Halves;

    fn run(device: &Device, argument1: u32, Halves(halves): Halves, irql: &mut Irql<Dispatch>) {
        device.note(DPC, (argument1, halves), irql);
    }
}

/// The threaded DPC.
enum InThread {}

impl ThreadedDpcRoutine for InThread {
    type Device = Device;
    type SystemArgument1 = u32;
    type SystemArgument2 = Halves;

    fn run(device: &Device, argument1: u32, Halves(halves): Halves, irql: &mut Irql<Threaded>) {
        device.note(THREADED, (argument1, halves), irql);
    }
}

/// The slow one.
enum Slow {}

impl ThreadedDpcRoutine for Slow {
    type Device = Device;
    /// How slow.
    type SystemArgument1 = u32;
    type SystemArgument2 = ();

    fn run(device: &Device, rounds: u32, (): (), irql: &mut Irql<Threaded>) {
        for _ in 0..rounds {
            device.hold.with(irql, |_, ()| {});
        }
    }
}

impl DeviceExtension for Device {
    /// The edu device's, to which it is attached: the scenarios open it by this.
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        let second = ProcessorNumber { group: 0, number: 1 };
        try_pin_init!(Self {
            low <- CustomDpc::with(DpcSettings::new().importance(Importance::Low), device),
            medium <- CustomDpc::new(device),
            high <- CustomDpc::with(DpcSettings::new().importance(Importance::High), device),
            on_second <- CustomDpc::with(DpcSettings::new().processor(second), device),
            threaded <- ThreadedDpc::new(device),
            slow <- ThreadedDpc::new(device),
            hold: SpinLock::new(()),
            runs: SpinLock::new([0; RUNS]),
        }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}

    fn device_control<'i>(&self, mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let answered = self.answer(&mut irp, irql);
        irp.complete(answered, irql)
    }
}

impl Device {
    fn answer(&self, irp: &mut Irp<'_>, irql: &mut Irql<UpToDispatch>) -> Result<()> {
        let (first1, first2) = (FIRST.0, Halves(FIRST.1));
        let (second1, second2) = (SECOND.0, Halves(SECOND.1));
        match irp.device_control().map(|parameters| parameters.code) {
            Some(QUEUE_TWICE) => {
                let queued = self.hold.with(irql, |_, ()| {
                    [self.medium.queue(first1, first2), self.medium.queue(second1, second2)]
                });
                irp.write_output(&queued.map(u32::from))
            }
            Some(QUEUE_BY_IMPORTANCE) => {
                self.hold.with(irql, |_, ()| {
                    self.low.queue(first1, first2);
                    self.medium.queue(first1, first2);
                    self.high.queue(first1, first2);
                });
                Ok(())
            }
            Some(QUEUE_TO_SECOND) => {
                self.on_second.queue(first1, first2);
                Ok(())
            }
            Some(QUEUE_THREADED) => {
                self.threaded.queue(first1, first2);
                Ok(())
            }
            Some(QUEUE_SLOW) => {
                self.slow.queue(irp.read_input()?, ());
                Ok(())
            }
            Some(QUEUE_AND_REMOVE) => {
                let removed = self.hold.with(irql, |_, ()| {
                    self.medium.queue(first1, first2);
                    [self.medium.remove(), self.medium.remove()]
                });
                irp.write_output(&removed.map(u32::from))
            }
            Some(TELL) => {
                let runs = self.runs.with(irql, |_, runs| core::mem::replace(runs, [0; RUNS]));
                irp.write_output(&runs)
            }
            _ => Err(Error::INVALID_DEVICE_REQUEST),
        }
    }

    /// A DPC has run.
    fn note<L: AtMostDispatch>(&self, dpc: u32, arguments: Arguments, irql: &mut Irql<L>) {
        self.runs.with(irql, |_, runs| {
            if let Some(free) = runs.iter_mut().find(|run| **run == 0) {
                *free = protocol::run(dpc, arguments);
            }
        });
    }
}
