//! The *upper storey*: a filter, which passes requests on in each of the ways that the safe layer has (`protocol.rs`), to the driver of
//! `lower-storey`, or of `bare-storey`. Nothing in here is wrong: the scenarios look for what is in the safe layer.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

#[path = "../../bare-storey/src/protocol.rs"]
#[expect(dead_code, reason = "the others are the lower driver's")]
mod bare;
mod completion;
mod pass_on;
#[expect(dead_code, reason = "what the input says is for the lower storey")]
mod protocol;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, DpcRoutine, Error, FileObject, FilterDevice, Irp, Irql,
    LowerDevice, Result,
    irql::{Dispatch, Passive, UpToDispatch},
};

// The panic handler.
extern crate wdk_panic as _;

wdm::filter_entry!(UpperStorey);

/// See the crate's documentation.
#[pin_data]
pub struct UpperStorey {
    #[pin]
    below: LowerDevice,
    /// Requests that the DPC takes up again.
    #[pin]
    queue: CancelSafeQueue,
    #[pin]
    dpc: CustomDpc<Later>,
    /// Requests that nobody takes up.
    #[pin]
    waiting: CancelSafeQueue,
    /// What the completion routines have seen.
    succeeded: AtomicU32,
    failed: AtomicU32,
    starts: AtomicU32,
    /// The device may be opened by nobody else.
    shut: AtomicBool,
}

impl FilterDevice for UpperStorey {
    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            below <- LowerDevice::new(device),
            queue <- CancelSafeQueue::new(device),
            dpc <- CustomDpc::new(device),
            waiting <- CancelSafeQueue::new(device),
            succeeded: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            starts: AtomicU32::new(0),
            shut: AtomicBool::new(false),
        }? Error)
    }

    fn started(&self, _irql: &mut Irql<Passive>) {
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    fn create(&self, _irp: &Irp<'_>, _irql: &mut Irql<UpToDispatch>) -> Result<()> {
        if self.shut.load(Ordering::Relaxed) {
            Err(Error::DEVICE_NOT_READY)
        } else {
            Ok(())
        }
    }

    fn cleanup(&self, file: FileObject, irql: &mut Irql<UpToDispatch>) {
        self.queue.cancel_all_of(file, irql);
        self.waiting.cancel_all_of(file, irql);
    }

    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        pass_on::device_control(self, irp, irql)
    }
}

impl UpperStorey {
    /// Leaves the request to the DPC.
    fn queue<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let disposed = self.queue.insert(irp, irql);
        self.dpc.queue((), ());
        disposed
    }
}

/// Takes up what was left to it.
enum Later {}

impl DpcRoutine for Later {
    type Device = UpperStorey;
    type SystemArgument1 = ();
    type SystemArgument2 = ();

    fn run(storey: &UpperStorey, (): (), (): (), irql: &mut Irql<Dispatch>) {
        pass_on::take_up(storey, irql);
    }
}
