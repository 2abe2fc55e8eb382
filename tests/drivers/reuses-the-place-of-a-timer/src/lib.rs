//! A driver that drops a timer which is set, and uses the memory for something else. It does so by a slot of its own, whose unsafe code is sound: the
//! value is dropped where it was pinned, before its memory is used again.
//!
//! Its second `AddDevice` fails half way, and what is dropped then queues a DPC.
#![no_std]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

mod protocol;
mod slot;

use core::{
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use edu::interface::GUID_DEVINTERFACE_EDU;
use pinned_init::{PinInit, pin_data, pinned_drop, try_pin_init};
use protocol::{SET_AND_DROP, TICKS, TIME_MS};
use slot::Slot;
use wdm::{
    CustomDpc, DeviceExtension, DeviceInit, Disposed, DpcRoutine, Error, Guid, Irp, Irql, Resources, Result,
    StopReason, Timer, TimerRoutine,
    irql::{Dispatch, Passive, UpToDispatch},
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Device);

/// Whether a device was added.
static WAS_ADDED: AtomicBool = AtomicBool::new(false);

/// What the driver keeps for its device.
#[pin_data]
pub struct Device {
    ticks: AtomicU32,
    #[pin]
    timer: Slot<Timer<Tick>>,
    #[pin]
    last_word: LastWord,
    only_once: OnlyOnce,
}

impl DeviceExtension for Device {
    /// The edu device's, to which it is attached: the scenarios open it by this.
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            ticks: AtomicU32::new(0),
            timer <- Slot::new(Timer::new(device)),
            last_word <- LastWord::new(device),
            only_once: OnlyOnce::new()?,
        }? Error)
    }

    fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> {
        Ok(())
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}

    fn device_control<'i>(&self, mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let answered = match irp.device_control().map(|request| request.code) {
            Some(SET_AND_DROP) => {
                self.timer.with(irql, |timer, irql| {
                    timer.set(Duration::from_millis(TIME_MS), irql);
                });
                self.timer.clear(irql);
                Ok(())
            }
            Some(TICKS) => irp.write_output(&self.ticks.load(Ordering::Relaxed)),
            _ => Err(Error::INVALID_DEVICE_REQUEST),
        };
        irp.complete(answered, irql)
    }
}

/// Counts.
enum Tick {}

impl TimerRoutine for Tick {
    type Device = Device;

    fn run(device: &Device, _irql: &mut Irql<Dispatch>) {
        device.ticks.fetch_add(1, Ordering::Relaxed);
    }
}

impl DpcRoutine for Tick {
    type Device = Device;
    type SystemArgument1 = ();
    type SystemArgument2 = ();

    fn run(device: &Device, (): (), (): (), _irql: &mut Irql<Dispatch>) {
        device.ticks.fetch_add(1, Ordering::Relaxed);
    }
}

/// Queues its DPC when it is dropped.
#[pin_data(PinnedDrop)]
struct LastWord {
    #[pin]
    dpc: CustomDpc<Tick>,
}

impl LastWord {
    fn new(device: &DeviceInit<'_, Device>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self { dpc <- CustomDpc::new(device) }? Error)
    }
}

#[pinned_drop]
impl PinnedDrop for LastWord {
    fn drop(self: Pin<&mut Self>) {
        self.dpc.queue((), ());
    }
}

/// Of these there is one.
struct OnlyOnce;

impl OnlyOnce {
    fn new() -> Result<Self> {
        if WAS_ADDED.swap(true, Ordering::Relaxed) {
            Err(Error::NO_SUCH_DEVICE)
        } else {
            Ok(Self)
        }
    }
}
