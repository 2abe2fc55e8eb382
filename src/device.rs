//! The device extension, and what PnP and power ask of it. IRQL: PASSIVE, but for the dispatch routines at the end.

use edu::{arrivals::Arrivals, engine::Activity, interface::GUID_DEVINTERFACE_EDU};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    DeviceExtension, DeviceFailure, DeviceInit, DevicePowerState, Disposed, Error, Guid, HardwareKey, Interrupt,
    IoMethod, Irp, Irql, Resources, Result, StopReason, TimeSpan, flush_queued_dpcs,
    irql::{Passive, UpToDispatch},
    sleep,
};

use crate::{
    compute::ComputeQueue,
    deadline::Deadline,
    doorbell::DoorbellQueue,
    isr::{EduIsr, IsrState},
    liveness::LivenessQueue,
    parameters::Parameters,
    raise::RaiseQueue,
    registers::RegisterFile,
    requests,
    statistics::DeviceCounters,
    transfer::{DmaBuffer, TransferQueue},
};

/// What the driver keeps for one edu device.
#[pin_data]
pub struct EduDevice {
    #[pin]
    pub registers: RegisterFile,
    #[pin]
    interrupt: Interrupt<EduIsr>,
    #[pin]
    pub compute: ComputeQueue,
    #[pin]
    pub raise: RaiseQueue,
    #[pin]
    pub doorbell: DoorbellQueue,
    #[pin]
    pub transfer: TransferQueue,
    #[pin]
    pub dma_buffer: DmaBuffer,
    #[pin]
    pub liveness: LivenessQueue,
    #[pin]
    key: HardwareKey,
    pub parameters: Parameters,
    /// The interrupts that the ISR has claimed.
    pub arrivals: Arrivals,
    pub counters: DeviceCounters,
    /// Says that the device does not answer.
    #[pin]
    pub failure: DeviceFailure,
}

impl DeviceExtension for EduDevice {
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    /// The device keeps nothing that a program has not got, and is known to be gone by its identification.
    const SURPRISE_REMOVAL_OK: bool = true;

    const IO_METHOD: IoMethod = IoMethod::Direct;

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            registers <- RegisterFile::new(device),
            interrupt <- Interrupt::new(device),
            compute <- ComputeQueue::new(device),
            raise <- RaiseQueue::new(device),
            doorbell <- DoorbellQueue::new(device),
            transfer <- TransferQueue::new(device),
            dma_buffer <- DmaBuffer::new(device),
            liveness <- LivenessQueue::new(device),
            key <- HardwareKey::new(device),
            parameters: Parameters::new(),
            arrivals: Arrivals::new(),
            counters: DeviceCounters::default(),
            failure <- DeviceFailure::new(device),
        }? Error)
    }

    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let memory = resources.memory(0).ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
        let interrupt = resources.interrupt().ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;

        self.parameters.load(&self.key, resources, irql);
        self.registers.map(&memory, irql)?;
        self.registers.identify()?;
        self.quiet_down(irql)?;
        self.dma_buffer.acquire(resources, irql)?;
        self.interrupt.connect(&interrupt, IsrState { enabled: false }, irql)
    }

    /// The device that comes back from a sleep must be the one that went.
    fn power_up(&self, irql: &mut Irql<Passive>) -> Result<()> {
        let is_present = self.registers.with(|registers| registers.is_present());
        if !is_present.ok_or(Error::INVALID_DEVICE_STATE)? {
            return Err(Error::DEVICE_HARDWARE_ERROR);
        }
        self.interrupt
            .synchronize(irql, |state, _| {
                state.enabled = true;
                self.registers.with(|registers| {
                    registers.silence();
                    registers.set_interrupt_on_factorial(true);
                })
            })
            .flatten()
            .ok_or(Error::INVALID_DEVICE_STATE)
    }

    fn resume(&self, irql: &mut Irql<Passive>) {
        self.compute.resume(self, irql);
        self.raise.resume(self, irql);
        self.transfer.resume(self, irql);
        self.liveness.resume(self, irql);
    }

    /// Both engines are at work at the same time, so they are waited for together. A DMA command whose request has ended is waited for as well: it
    /// would interrupt when the device is silent already.
    fn hold(&self, irql: &mut Irql<Passive>) {
        let deadline = Deadline::after(LONGEST_DRAIN);
        self.liveness.hold(irql);
        self.raise.hold(irql);
        self.compute.hold(irql);
        self.transfer.hold(irql);
        self.compute.drain(deadline, irql);
        self.transfer.drain(deadline, irql);
        self.wait_for_dma(deadline, irql);
    }

    /// The interrupt stays connected while the device sleeps: its line is shared, and the ISR looks at no register.
    fn power_down(&self, _to: DevicePowerState, irql: &mut Irql<Passive>) {
        self.disable_factorial_interrupt(irql);
        // At the device's IRQL: no interrupt can come between the last acknowledge and the end of the ISR's interest.
        self.interrupt.synchronize(irql, |state, _| {
            self.registers.with(|registers| registers.silence());
            state.enabled = false;
        });
        flush_queued_dpcs(irql);
    }

    fn stop(&self, _reason: StopReason, irql: &mut Irql<Passive>) {
        self.release_interrupt(irql);
    }

    /// If the device has not been seen to be finished with the common buffer that stays, until the bus driver has taken the bus from the device.
    fn dma_is_idle(&self, irql: &mut Irql<Passive>) -> bool {
        self.transfer.is_idle(irql)
    }

    fn is_present(&self, _irql: &mut Irql<Passive>) -> bool {
        self.registers.with(|registers| registers.is_present()) == Some(true)
    }

    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.liveness.hold(irql);
        self.release_interrupt(irql);
        self.compute.close(Error::DEVICE_REMOVED, irql);
        self.raise.close(Error::DEVICE_REMOVED, irql);
        self.doorbell.close(Error::DEVICE_REMOVED, irql);
        self.transfer.close(Error::DEVICE_REMOVED, irql);
        self.liveness.close(Error::DEVICE_REMOVED, irql);
    }

    fn cleanup<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        let file = irp.file_object();
        self.compute.cancel_all_of(file, irql);
        self.raise.cancel_all_of(file, irql);
        self.doorbell.cancel_all_of(file, irql);
        self.transfer.cancel_all_of(file, irql);
        self.liveness.cancel_all_of(file, irql);
        irp.complete(Ok(()), irql)
    }

    fn read<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        requests::transfer(self, irp, irql)
    }

    fn write<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        requests::transfer(self, irp, irql)
    }

    fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
        requests::device_control(self, irp, irql)
    }
}

/// How long a stop or a sleep waits for the device, whatever the watchdogs' patience: the system has its own time limits for those. With the default
/// parameters the watchdogs come first.
const LONGEST_DRAIN: TimeSpan = TimeSpan::from_millis(10_000);

/// How long the driver waits for a DMA command whose request has ended. It should take 100 milliseconds.
const LONGEST_DMA: TimeSpan = TimeSpan::from_millis(500);
const BETWEEN_LOOKS: TimeSpan = TimeSpan::from_millis(10);

/// How long after the end of a factorial the device may still raise the interrupt for it.
const A_MOMENT: TimeSpan = TimeSpan::from_millis(1);

impl EduDevice {
    /// Ends what the device does for somebody who used it before this driver: another driver, or this one before a stop. Its interrupts are disabled
    /// and acknowledged. A DMA command cannot be stopped: its end is waited for, and the interrupt that it ends with is acknowledged as well. If
    /// it does not end, the device is not used, since it may write to memory at any time.
    fn quiet_down(&self, irql: &mut Irql<Passive>) -> Result<()> {
        self.registers.with(|registers| registers.silence());
        sleep(A_MOMENT, irql);
        if self.wait_for_dma(Deadline::after(LONGEST_DMA), irql) != Some(Activity::Idle) {
            return Err(Error::DEVICE_HARDWARE_ERROR);
        }
        self.registers.with(|registers| registers.silence());
        Ok(())
    }

    /// Has the device raise no interrupt for a factorial. One that it has just finished it may be about to raise still: afterwards it has.
    fn disable_factorial_interrupt(&self, irql: &mut Irql<Passive>) {
        self.registers
            .with(|registers| registers.set_interrupt_on_factorial(false));
        sleep(A_MOMENT, irql);
    }

    /// Waits for the end of a DMA command whose request has ended, as long as such a command may take, and not beyond `deadline`; what the engine does
    /// then. There is no register without power or resources.
    fn wait_for_dma(&self, deadline: Deadline, irql: &mut Irql<Passive>) -> Option<Activity> {
        let deadline = deadline.min(Deadline::after(LONGEST_DMA));
        loop {
            match self.registers.with(|registers| registers.dma_activity()) {
                Some(Activity::Busy) if !deadline.is_over() => sleep(BETWEEN_LOOKS, irql),
                other => return other,
            }
        }
    }

    /// Gives back the interrupt, and waits for the DPCs that it has queued.
    fn release_interrupt(&self, irql: &mut Irql<Passive>) {
        self.interrupt.synchronize(irql, |state, _| state.enabled = false);
        self.interrupt.disconnect(irql);
        flush_queued_dpcs(irql);
    }
}
