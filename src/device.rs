//! The device extension, and what PnP asks of it. IRQL: PASSIVE, but for the dispatch routines at the end.
use core::sync::atomic::{AtomicBool, Ordering};

use edu::{
    arrivals::Arrivals,
    interface::GUID_DEVINTERFACE_EDU,
    registers::{Identification, InterruptStatus},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    DeviceExtension, DeviceInit, Disposed, Guid, Interrupt, Irp, Irql, Resources, Result, Revocable, SpinLock, Status,
    StopReason, flush_queued_dpcs,
    irql::{AtMostDispatch, Passive, UpToDispatch},
};

use crate::{
    compute::ComputeQueue,
    doorbell::DoorbellQueue,
    isr::{EduIsr, IsrState},
    raise::RaiseQueue,
    registers::Registers,
    requests,
    statistics::DeviceCounters,
};

/// What the driver keeps for one edu device.
#[pin_data]
pub struct EduDevice {
    /// There while the device is started: whoever looks at another time finds none.
    pub registers: Revocable<Registers>,
    #[pin]
    interrupt: Interrupt<EduIsr>,
    #[pin]
    pub compute: ComputeQueue,
    #[pin]
    pub raise: RaiseQueue,
    #[pin]
    pub doorbell: DoorbellQueue,
    /// The device was taken out.
    gone: AtomicBool,
    /// What the ISR had noted when it was disconnected.
    arrivals: SpinLock<Arrivals>,
    pub counters: DeviceCounters,
    /// Held over the two accesses of a liveness check.
    pub liveness: SpinLock<()>,
}

impl DeviceExtension for EduDevice {
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Status> {
        try_pin_init!(Self {
            registers: Revocable::new(),
            interrupt <- Interrupt::new(device),
            compute <- ComputeQueue::new(device),
            raise <- RaiseQueue::new(device),
            doorbell <- DoorbellQueue::new(device),
            gone: AtomicBool::new(false),
            arrivals: SpinLock::new(Arrivals::new()),
            counters: DeviceCounters::default(),
            liveness: SpinLock::new(()),
        }? Status)
    }

    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let memory = resources.memory(0).ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
        let interrupt = resources.interrupt().ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;

        let registers = Registers::map(&memory, irql)?;
        if registers
            .identification()
            .ok()
            .and_then(Identification::decode)
            .is_none()
        {
            registers.unmap(irql);
            return Err(Status::DEVICE_HARDWARE_ERROR);
        }
        // Whatever the last user left behind must not interrupt before there is anybody to interrupt.
        registers.set_interrupt_on_factorial(false);
        registers.acknowledge(InterruptStatus::all());
        if let Err(second) = self.registers.publish(registers, irql) {
            second.unmap(irql);
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let state = IsrState {
            enabled: true,
            arrivals: self.arrivals(irql),
        };
        if let Err(status) = self.interrupt.connect(&interrupt, state, irql) {
            self.release_registers(irql);
            return Err(status);
        }
        self.registers
            .with(|registers| registers.set_interrupt_on_factorial(true));
        self.compute.resume(self, irql);
        self.raise.resume(self, irql);
        Ok(())
    }

    fn stop(&self, _reason: StopReason, irql: &mut Irql<Passive>) {
        self.raise.hold(irql);
        self.compute.hold_and_drain(self, irql);
        self.registers.with(|registers| {
            registers.set_interrupt_on_factorial(false);
            registers.acknowledge(InterruptStatus::all());
        });
        self.release_interrupt(irql);
        self.release_registers(irql);
    }

    /// The registers go first, so that nothing can touch them any more: not even an ISR that runs now.
    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.gone.store(true, Ordering::Release);
        self.release_registers(irql);
        self.release_interrupt(irql);
        self.compute.close(Status::DEVICE_REMOVED, irql);
        self.raise.close(Status::DEVICE_REMOVED, irql);
        self.doorbell.close(Status::DEVICE_REMOVED, irql);
    }

    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let file = irp.file_object();
        self.compute.cancel_all_of(file, irql);
        self.raise.cancel_all_of(file, irql);
        self.doorbell.cancel_all_of(file, irql);
        irp.complete(Status::SUCCESS, irql)
    }

    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        requests::device_control(self, irp, irql)
    }
}

impl EduDevice {
    /// The status of a request that needs the registers, when there are none.
    pub fn why_unavailable(&self) -> Status {
        if self.gone.load(Ordering::Acquire) {
            Status::DEVICE_REMOVED
        } else {
            Status::DEVICE_NOT_READY
        }
    }

    /// What interrupts have come so far.
    pub fn arrivals<L: AtMostDispatch>(&self, irql: &mut Irql<L>) -> Arrivals {
        let noted = self.interrupt.synchronize(irql, |state, _| state.arrivals);
        noted.unwrap_or_else(|| self.arrivals.with(irql, |_, arrivals| *arrivals))
    }

    /// Gives back the interrupt, and waits for the DPCs that it has queued.
    fn release_interrupt(&self, irql: &mut Irql<Passive>) {
        let noted = self.interrupt.synchronize(irql, |state, _| {
            state.enabled = false;
            state.arrivals
        });
        if let Some(noted) = noted {
            self.arrivals.with(irql, |_, arrivals| *arrivals = noted);
        }
        self.interrupt.disconnect(irql);
        flush_queued_dpcs(irql);
    }

    fn release_registers(&self, irql: &mut Irql<Passive>) {
        if let Some(registers) = self.registers.revoke(irql) {
            registers.unmap(irql);
        }
    }
}
