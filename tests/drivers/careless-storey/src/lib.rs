//! A function driver that passes down what is not for it to pass down: reads whose buffers come in another way than the lower driver expects, opens
//! whose ends it keeps to itself, and, from a DPC, requests that mean something in their caller's thread only. Safe code: the scenarios look at
//! how the safe layer keeps it from that.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

#[path = "../../bare-storey/src/protocol.rs"]
#[expect(dead_code, reason = "the others are the lower driver's")]
mod bare;
mod protocol;

use core::sync::atomic::{AtomicBool, Ordering};

use bare::{IN_THREAD_LATER, UNKNOWN_LATER, VOUCHED_LATER};
use edu::interface::GUID_DEVINTERFACE_EDU;
use pinned_init::{PinInit, pin_data, try_pin_init};
use protocol::{ASK_INTERNALLY, OPEN_BELOW};
use vouched::Seen;
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceExtension, DeviceInit, Disposed, DpcRoutine, Error, Guid, Irp, Irql, LowerDevice,
    Resources, Result, StopReason,
    irql::{Dispatch, Passive, UpToDispatch},
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Careless);

/// See the crate's documentation.
#[pin_data]
pub struct Careless {
    opens_below: AtomicBool,
    #[pin]
    below: LowerDevice,
    #[pin]
    queue: CancelSafeQueue,
    #[pin]
    dpc: CustomDpc<Later>,
}

impl DeviceExtension for Careless {
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            opens_below: AtomicBool::new(false),
            below <- LowerDevice::new(device),
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

    fn create<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        if self.opens_below.load(Ordering::Relaxed) {
            irp.forward(irql)
        } else {
            irp.complete(Ok(()), irql)
        }
    }

    fn read<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        irp.forward(irql)
    }

    fn device_control<'i>(&self, mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        match irp.device_control().map(|request| request.code) {
            Some(OPEN_BELOW) => {
                self.opens_below.store(true, Ordering::Relaxed);
                irp.complete(Ok(()), irql)
            }
            Some(ASK_INTERNALLY) => {
                let answered = self.ask(irql).and_then(|seen| irp.write_output(&seen));
                irp.complete(answered, irql)
            }
            Some(code) if IN_THREAD_LATER.contains(&code) || [VOUCHED_LATER, UNKNOWN_LATER].contains(&code) => {
                let disposed = self.queue.insert(irp, irql);
                self.dpc.queue((), ());
                disposed
            }
            _ => irp.forward(irql),
        }
    }
}

impl Careless {
    /// What the lowest driver has seen.
    fn ask(&self, irql: &mut Irql<UpToDispatch>) -> Result<[u32; 4]> {
        let irql = irql.passive().ok_or(Error::INVALID_DEVICE_STATE)?;
        let mut seen = [0; 4];
        self.below.device_control::<Seen>(&(), &mut seen, irql)?;
        Ok(seen)
    }
}

/// Passes on what was queued.
enum Later {}

impl DpcRoutine for Later {
    type Device = Careless;
    type SystemArgument1 = ();
    type SystemArgument2 = ();

    fn run(device: &Careless, (): (), (): (), irql: &mut Irql<Dispatch>) {
        while device.queue.remove_next(irql, pass_down) {}
    }
}

fn pass_down<'i>(mut irp: Irp<'i>, irql: &mut Irql<Dispatch>) -> Disposed<'i> {
    irp.vouch::<vouched::Later>();
    irp.forward(irql)
}
