//! A driver that is attached to its device twice: a filter above itself.
//!
//! The device object that was added first is the *lower storey*, the function driver: it answers requests, at once or in a DPC. The second one is the
//! *upper storey*, which passes them on in each of the ways that the safe layer has (`protocol.rs`). Nothing in here is wrong: the scenarios look for
//! what is in the safe layer.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

mod completion;
mod lower;
mod protocol;
mod upper;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use edu::interface::GUID_DEVINTERFACE_EDU;
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceExtension, DeviceInit, Disposed, DpcRoutine, Error, Guid, Irp, Irql, LowerDevice,
    Resources, Result, StopReason,
    irql::{Dispatch, Passive, UpToDispatch},
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Storey);

/// Whether the lower storey exists.
static HAS_GROUND: AtomicBool = AtomicBool::new(false);

/// One of the two device objects.
#[pin_data]
pub struct Storey {
    is_upper: bool,
    #[pin]
    below: LowerDevice,
    /// Requests that a DPC takes up again.
    #[pin]
    queue: CancelSafeQueue,
    #[pin]
    dpc: CustomDpc<Later>,
    /// What the completion routines have seen.
    succeeded: AtomicU32,
    failed: AtomicU32,
}

impl DeviceExtension for Storey {
    /// The edu device's, to which it is attached: the scenarios open it by this.
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            is_upper: HAS_GROUND.swap(true, Ordering::Relaxed),
            below <- LowerDevice::new(device),
            queue <- CancelSafeQueue::new(device),
            dpc <- CustomDpc::new(device),
            succeeded: AtomicU32::new(0),
            failed: AtomicU32::new(0),
        }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.queue.close(Error::DEVICE_REMOVED, irql);
    }

    fn create<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        self.pass_on_or_succeed(irp, irql)
    }

    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        self.queue.cancel_all_of(irp.file_object(), irql);
        self.pass_on_or_succeed(irp, irql)
    }

    fn close<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        self.pass_on_or_succeed(irp, irql)
    }

    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        if self.is_upper {
            upper::device_control(self, irp, irql)
        } else {
            lower::device_control(self, irp, irql)
        }
    }
}

impl Storey {
    fn pass_on_or_succeed<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        if self.is_upper {
            irp.forward(irql)
        } else {
            irp.complete(Ok(()), irql)
        }
    }

    /// Leaves the request to the DPC.
    fn queue<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let disposed = self.queue.insert(irp, irql);
        self.dpc.queue();
        disposed
    }
}

/// Takes up what was left to it.
enum Later {}

impl DpcRoutine for Later {
    type Device = Storey;

    fn run(storey: &Storey, irql: &mut Irql<Dispatch>) {
        if storey.is_upper {
            upper::take_up(storey, irql);
        } else {
            lower::take_up(storey, irql);
        }
    }
}
