//! The *lower storey*: a function driver, which answers requests, at once or in a DPC, below the filter of `upper-storey`.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

mod answer;
#[path = "../../upper-storey/src/protocol.rs"]
#[expect(
    dead_code,
    reason = "the codes are for the upper storey, which knows by them how to pass a request on"
)]
mod protocol;

use edu::interface::GUID_DEVINTERFACE_EDU;
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceExtension, DeviceInit, Disposed, DpcRoutine, Error, Guid, Irp, Irql, Resources,
    Result, StopReason,
    irql::{Dispatch, Passive, UpToDispatch},
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(LowerStorey);

/// See the crate's documentation.
#[pin_data]
pub struct LowerStorey {
    /// Requests that the DPC answers.
    #[pin]
    queue: CancelSafeQueue,
    #[pin]
    dpc: CustomDpc<Later>,
}

impl DeviceExtension for LowerStorey {
    /// The edu device's, to which it is attached: the scenarios open it by this.
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            queue <- CancelSafeQueue::new(device),
            dpc <- CustomDpc::new(device),
        }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.queue.close(Error::DEVICE_REMOVED, irql);
    }

    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        self.queue.cancel_all_of(irp.file_object(), irql);
        irp.complete(Ok(()), irql)
    }

    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        answer::device_control(self, irp, irql)
    }
}

impl LowerStorey {
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
    type Device = LowerStorey;
    type SystemArgument1 = ();
    type SystemArgument2 = ();

    fn run(storey: &LowerStorey, (): (), (): (), irql: &mut Irql<Dispatch>) {
        answer::take_up(storey, irql);
    }
}
