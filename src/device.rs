//! The device extension, and what PnP asks of it. IRQL: PASSIVE, but for the dispatch routines at the end.
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

use edu::{
    interface::GUID_DEVINTERFACE_EDU,
    registers::{Identification, InterruptStatus},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    DeviceExtension, DeviceInit, Disposed, Guid, Interrupt, Irp, Irql, Resources, Result, Revocable, SpinLock, Status,
    StopReason, flush_queued_dpcs,
    irql::{Passive, UpToDispatch},
};

use crate::{
    compute::ComputeQueue,
    isr::{EduIsr, IsrState},
    registers::Registers,
    requests,
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
        if let Err(status) = self.interrupt.connect(&interrupt, IsrState { enabled: true }, irql) {
            self.release_registers(irql);
            return Err(status);
        }
        self.registers
            .with(|registers| registers.set_interrupt_on_factorial(true));
        self.compute.resume(&self.registers, irql);
        Ok(())
    }

    fn stop(&self, _reason: StopReason, irql: &mut Irql<Passive>) {
        self.compute.hold_and_drain(&self.registers, irql);
        self.registers.with(|registers| {
            registers.set_interrupt_on_factorial(false);
            registers.acknowledge(InterruptStatus::all());
        });
        self.release_interrupt(irql);
        self.release_registers(irql);
    }

    /// The registers go first, so that nothing can touch them any more: not even an ISR that runs now.
    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.release_registers(irql);
        self.release_interrupt(irql);
        self.compute.close(Status::DEVICE_REMOVED, irql);
    }

    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        self.compute.cancel_all_of(irp.file_object(), irql);
        irp.complete(Status::SUCCESS, irql)
    }

    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        requests::device_control(self, irp, irql)
    }
}

impl EduDevice {
    /// Gives back the interrupt, and waits for the DPCs that it has queued.
    fn release_interrupt(&self, irql: &mut Irql<Passive>) {
        self.interrupt.synchronize(irql, |state, _| state.enabled = false);
        self.interrupt.disconnect(irql);
        flush_queued_dpcs(irql);
    }

    fn release_registers(&self, irql: &mut Irql<Passive>) {
        if let Some(registers) = self.registers.revoke(irql) {
            registers.unmap(irql);
        }
    }
}
