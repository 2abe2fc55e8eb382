//! A driver that has requests outside of its queues while their handles are closed: it takes them out, or has not put them in yet, waits until
//! `IRP_MJ_CLEANUP` has been through, and only then puts them into a queue, or passes them down. Safe code: the scenarios look at how the safe layer
//! ends such requests.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

mod protocol;

use core::time::Duration;

use edu::interface::GUID_DEVINTERFACE_EDU;
use pinned_init::{PinInit, pin_data, try_pin_init};
use protocol::{
    ANSWER, ANSWER_BY_START_IO, HOLD_FOR_START_IO, HOLD_FOR_THE_LOWER_DRIVER, HOLD_FOR_THE_QUEUE, HOLD_ITSELF, WAIT,
};
use wdm::{
    CancelSafeQueue, DeviceExtension, DeviceInit, Disposed, Error, Event, Guid, Irp, Irql, LockedStartIoQueue,
    Resources, Result, StartIo, StartIoQueue, StopReason,
    irql::{Passive, SpinLockHeld, UpToDispatch},
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Holder);

/// How long a request is held at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the crate's documentation.
#[pin_data]
pub struct Holder {
    #[pin]
    waiting: CancelSafeQueue,
    #[pin]
    of_device: StartIoQueue<Nothing>,
    /// A handle has been closed.
    #[pin]
    closed: Event,
}

/// A request that has become the current one stays so until it is cancelled, but for one that is to be answered.
enum Nothing {}

impl StartIo for Nothing {
    type Device = Holder;
    /// The next request that becomes the current one is answered.
    type State = bool;

    fn start_io(_device: &Holder, queue: &mut LockedStartIoQueue<'_, bool>, _irql: &mut Irql<SpinLockHeld>) {
        if core::mem::take(queue.state) {
            queue.end_current(Ok(()));
        }
    }
}

impl DeviceExtension for Holder {
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            waiting <- CancelSafeQueue::new(device),
            of_device <- StartIoQueue::new(false, device),
            closed <- Event::new(device),
        }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.waiting.close(Error::DEVICE_REMOVED, irql);
        self.of_device.close(Error::DEVICE_REMOVED, irql);
    }

    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        self.waiting.cancel_all_of(irp.file_object(), irql);
        self.of_device.cancel_all_of(irp.file_object(), irql);
        self.closed.set(irql);
        irp.complete(Ok(()), irql)
    }

    fn device_control<'i>(&self, mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let code = irp.device_control().map(|request| request.code);
        let Some(passive) = irql.passive() else {
            return irp.complete(Err(Error::INVALID_DEVICE_STATE), irql);
        };
        match code {
            Some(WAIT) => return self.waiting.insert(irp, passive),
            Some(HOLD_FOR_THE_QUEUE) => self.hold_all(passive, &|irp, irql| self.waiting.insert(irp, irql)),
            Some(HOLD_FOR_START_IO) => self.hold_all(passive, &|irp, irql| self.of_device.insert(irp, irql)),
            Some(HOLD_FOR_THE_LOWER_DRIVER) => self.hold_all(passive, &pass_down),
            Some(ANSWER_BY_START_IO) => {
                if let Err(error) = irp.write_output(&ANSWER) {
                    return irp.complete(Err(error), passive);
                }
                self.of_device.with(passive, |queue, _irql| *queue.state = true);
                return self.of_device.insert(irp, passive);
            }
            Some(HOLD_ITSELF) => {
                self.hold(passive);
                return self.waiting.insert(irp, passive);
            }
            _ => return irp.complete(Err(Error::INVALID_DEVICE_REQUEST), passive),
        }
        irp.complete(Ok(()), passive)
    }
}

impl Holder {
    /// Waits until the next handle has been closed.
    fn hold(&self, irql: &mut Irql<Passive>) {
        self.closed.wait(PATIENCE, irql);
        self.closed.clear(irql);
    }

    /// Takes every request out that waits, then holds one after the other, and has `then` go on with it.
    fn hold_all(&self, irql: &mut Irql<Passive>, then: Then<'_>) {
        self.waiting.remove_next(irql, |irp, irql| {
            self.hold_all(irql, then);
            self.hold(irql);
            then(irp, irql)
        });
    }
}

/// What is done with a request that was held.
type Then<'a> = &'a dyn for<'i> Fn(Irp<'i>, &mut Irql<Passive>) -> Disposed<'i>;

fn pass_down<'i>(irp: Irp<'i>, irql: &mut Irql<Passive>) -> Disposed<'i> {
    irp.forward(irql)
}
