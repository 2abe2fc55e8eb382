//! A driver whose work item turns to the drivers below when `IRP_MN_REMOVE_DEVICE` has gone down to them: by a request of its own, by one that it
//! kept, or by telling the PnP manager of its device. Whoever handles that request may have deleted his device object.
//!
//! Safe code can do all that. The safe layer refuses it.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

mod protocol;

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use edu::interface::GUID_DEVINTERFACE_EDU;
use pinned_init::{PinInit, pin_data, try_pin_init};
use protocol::{KEEP, LATER_MS, REPORT, SEND, SEND_KEEP, SEND_OFTEN, UNKNOWN};
use vouched::{KeepForLater, Unknown};
use wdm::{
    CancelSafeQueue, DeviceExtension, DeviceFailure, DeviceInit, Disposed, Error, Guid, Irp, Irql, LowerDevice,
    LowerRequest, Resources, Result, StopReason, WorkItem, WorkRoutine,
    irql::{Passive, UpToDispatch},
    sleep,
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Device);

/// How often `SEND_OFTEN` sends.
const OFTEN: usize = 2000;
const LATER: Duration = Duration::from_millis(LATER_MS);

/// One device object; the driver may be attached to its device several times.
#[pin_data]
pub struct Device {
    #[pin]
    below: LowerDevice,
    #[pin]
    failure: DeviceFailure,
    /// The request that is kept.
    #[pin]
    kept: CancelSafeQueue,
    #[pin]
    work: WorkItem<Work>,
    /// The control code of what the work item is to do.
    wanted: AtomicU32,
}

impl DeviceExtension for Device {
    /// The edu device's, to which it is attached: the scenarios open it by this.
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            below <- LowerDevice::new(device),
            failure <- DeviceFailure::new(device),
            kept <- CancelSafeQueue::new(device),
            work <- WorkItem::new(device),
            wanted: AtomicU32::new(0),
        }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}

    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let code = irp.device_control().map_or(UNKNOWN, |parameters| parameters.code);
        if code == UNKNOWN {
            return irp.complete(Err(Error::INVALID_DEVICE_REQUEST), irql);
        }
        self.wanted.store(code, Ordering::Relaxed);
        let disposed = if code == KEEP {
            self.kept.insert(irp, irql)
        } else {
            irp.complete(Ok(()), irql)
        };
        self.work.queue(irql);
        disposed
    }
}

/// Does what is wanted.
enum Work {}

impl WorkRoutine for Work {
    type Device = Device;

    fn run(device: &Device, irql: &mut Irql<Passive>) {
        match device.wanted.load(Ordering::Relaxed) {
            SEND => {
                sleep(LATER, irql);
                send::<Unknown>(device, irql);
            }
            SEND_OFTEN => (0..OFTEN).for_each(|_| send::<Unknown>(device, irql)),
            REPORT => {
                sleep(LATER, irql);
                device.failure.report(irql);
            }
            SEND_KEEP => send::<KeepForLater>(device, irql),
            _ => {
                device.kept.remove_next(irql, |irp, irql| {
                    sleep(LATER, irql);
                    irp.forward(irql)
                });
            }
        }
    }
}

/// What became of it is of no interest.
fn send<R: LowerRequest<Input = (), Output = ()>>(device: &Device, irql: &mut Irql<Passive>) {
    let _ = device.below.device_control::<R>(&(), &mut (), irql);
}
