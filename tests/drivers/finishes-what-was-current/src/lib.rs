//! A driver for the edu device with one DPC, the device object's own. Its routine finishes the request that was current when the ISR asked for it, if that
//! is current still, else the one that is current when it runs. Nothing in here is wrong: the driver counts how often it was late.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

mod protocol;

use edu::{
    interface::GUID_DEVINTERFACE_EDU,
    registers::{INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    Claim, DeviceExtension, DeviceInit, DeviceMemory, Disposed, DpcForIsr, DpcForIsrRoutine, Error, Guid, Interrupt,
    InterruptService, Irp, Irql, LockedStartIoQueue, Resources, Result, Serial, SpinLock, StartIo, StartIoQueue,
    StopReason,
    irql::{Dirql, Dispatch, Passive, SpinLockHeld, UpToDispatch},
};

use protocol::{LOST, LOST_COALESCED, OUTCOMES, RAISE, TELL, WON};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Device);

/// How many requests the driver remembers.
const REMEMBERED: usize = 16;

/// What the driver keeps for its device.
#[pin_data]
pub struct Device {
    #[pin]
    registers: DeviceMemory<0x100>,
    #[pin]
    interrupt: Interrupt<Isr>,
    #[pin]
    queue: StartIoQueue<Raise>,
    #[pin]
    dpc_for_isr: DpcForIsr<Finish>,
    books: SpinLock<Books>,
}

struct Books {
    /// What the requests have raised that were current, the latest ones.
    raised: [Option<(Serial, u32)>; REMEMBERED],
    outcomes: [u32; OUTCOMES],
}

impl Books {
    fn raised_by(&self, serial: Serial) -> Option<u32> {
        let mut raised = self.raised.iter().flatten();
        raised.find_map(|(other, causes)| (*other == serial).then_some(*causes))
    }

    fn count(&mut self, outcome: usize) {
        if let Some(count) = self.outcomes.get_mut(outcome) {
            *count = count.wrapping_add(1);
        }
    }
}

/// The StartIo routine.
enum Raise {}

impl StartIo for Raise {
    type Device = Device;
    type State = ();

    fn start_io(device: &Device, queue: &mut LockedStartIoQueue<'_, ()>, irql: &mut Irql<SpinLockHeld>) {
        let Some((irp, serial)) = queue.current() else {
            return;
        };
        let Ok(causes) = irp.read_input::<u32>() else {
            return;
        };
        device.books.with(irql, |_, books| {
            books.raised.rotate_right(1);
            if let Some(first) = books.raised.first_mut() {
                *first = Some((serial, causes));
            }
        });
        device
            .registers
            .with(|registers| registers.write32::<INTERRUPT_RAISE>(causes));
    }
}

/// The interrupt.
enum Isr {}

impl InterruptService for Isr {
    type Device = Device;
    /// A DPC that had been asked for already was asked for again.
    type State = bool;

    fn service(device: &Device, coalesced: &mut bool, irql: &mut Irql<Dirql>) -> Claim {
        let causes = device.registers.with(|registers| {
            let causes = registers.read32::<INTERRUPT_STATUS>();
            if causes != 0 {
                registers.write32::<INTERRUPT_ACKNOWLEDGE>(causes);
            }
            causes
        });
        if causes.unwrap_or(0) == 0 {
            return Claim::NotOurs;
        }
        if !device.dpc_for_isr.request(device.queue.current_serial(), (), irql) {
            *coalesced = true;
        }
        Claim::Claimed
    }
}

/// The DPC.
enum Finish {}

impl DpcForIsrRoutine for Finish {
    type Device = Device;
    type Context = ();

    fn run(device: &Device, then: Option<Serial>, (): (), irql: &mut Irql<Dispatch>) {
        let coalesced = device
            .interrupt
            .synchronize(irql, |coalesced, _| core::mem::take(coalesced));
        if let Some(then) = then {
            let outcome = match device.finish(then, irql) {
                Finished::Yes => Some(WON),
                Finished::NotCurrent if coalesced == Some(true) => Some(LOST_COALESCED),
                Finished::NotCurrent => Some(LOST),
                Finished::NotRaised => None,
            };
            if let Some(outcome) = outcome {
                device.books.with(irql, |_, books| books.count(outcome));
            }
            if outcome == Some(WON) {
                return;
            }
        }
        if let Some(current) = device.queue.current_serial() {
            device.finish(current, irql);
        }
    }
}

impl DeviceExtension for Device {
    /// The edu device's, by which the scenarios open it.
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            registers <- DeviceMemory::new(device),
            interrupt <- Interrupt::new(device),
            queue <- StartIoQueue::new((), device),
            dpc_for_isr <- DpcForIsr::new(device),
            books: SpinLock::new(Books { raised: [None; REMEMBERED], outcomes: [0; OUTCOMES] }),
        }? Error)
    }

    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let memory = resources.memory(0).ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
        let interrupt = resources.interrupt().ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
        self.registers.map(&memory, irql)?;
        self.interrupt.connect(&interrupt, false, irql)
    }

    fn stop(&self, _reason: StopReason, irql: &mut Irql<Passive>) {
        self.interrupt.disconnect(irql);
    }

    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.interrupt.disconnect(irql);
        self.queue.close(Error::DEVICE_REMOVED, irql);
    }

    fn device_control<'i>(&self, mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        match irp.device_control().map(|parameters| parameters.code) {
            Some(RAISE) => self.queue.insert(irp, irql),
            Some(TELL) => {
                let outcomes = self.books.with(irql, |_, books| books.outcomes);
                let told = irp.write_output(&outcomes);
                irp.complete(told, irql)
            }
            _ => irp.complete(Err(Error::INVALID_DEVICE_REQUEST), irql),
        }
    }
}

impl Device {
    /// Finishes this request, if it is the current one and has raised something.
    fn finish(&self, serial: Serial, irql: &mut Irql<Dispatch>) -> Finished {
        let Some(wanted) = self.books.with(irql, |_, books| books.raised_by(serial)) else {
            return Finished::NotRaised;
        };
        let is_finished = self.queue.finish_current(serial, irql, |mut irp, irql| {
            let answered = irp.read_input::<u32>();
            let answered = answered.and_then(|causes| irp.write_output(&[causes, wanted]));
            irp.complete(answered, irql)
        });
        if is_finished {
            Finished::Yes
        } else {
            Finished::NotCurrent
        }
    }
}

/// Whether a request was finished.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finished {
    Yes,
    /// It is not the current one any more.
    NotCurrent,
    /// It has just become the current one: the interrupt was for the one before, and its own is to come.
    NotRaised,
}
