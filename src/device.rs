//! The device extension, and what PnP and power ask of it. IRQL: PASSIVE, but for the dispatch routines at the end.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use edu::{arrivals::Arrivals, engine::Activity, interface::GUID_DEVINTERFACE_EDU, registers::Identification};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    DeviceExtension, DeviceFailure, DeviceInit, DevicePowerState, Disposed, Error, Guid, HardwareKey, Interrupt,
    IoMethod, Irp, Irql, Resources, Result, SpinLock, StopReason, flush_queued_dpcs,
    irql::{AtMostDispatch, Passive, UpToDispatch},
    sleep,
};

use crate::{
    compute::ComputeQueue,
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
    /// What the identification register read when the device was started.
    identification: AtomicU32,
    #[pin]
    key: HardwareKey,
    pub parameters: Parameters,
    /// What the ISR had noted when it was disconnected.
    arrivals: SpinLock<Arrivals>,
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
            identification: AtomicU32::new(0),
            key <- HardwareKey::new(device),
            parameters: Parameters::new(),
            arrivals: SpinLock::new(Arrivals::new()),
            counters: DeviceCounters::default(),
            failure <- DeviceFailure::new(device),
        }? Error)
    }

    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let memory = resources.memory(0).ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
        let interrupt = resources.interrupt().ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;

        self.parameters.load(&self.key, resources, irql);
        self.registers.map(&memory, irql)?;
        let identification = self.identify()?;
        Identification::decode(identification).ok_or(Error::DEVICE_HARDWARE_ERROR)?;
        // Whatever the last user left behind must not interrupt before there is anybody to interrupt.
        self.registers.with(|registers| registers.silence());
        self.identification.store(identification, Ordering::Relaxed);
        // What somebody has left running cannot be stopped, and whose memory it goes to nobody knows.
        if self.wait_for_dma(irql) != Some(Activity::Idle) {
            return Err(Error::DEVICE_HARDWARE_ERROR);
        }
        self.dma_buffer.acquire(resources, irql)?;
        let state = IsrState {
            enabled: false,
            arrivals: self.arrivals(irql),
        };
        self.interrupt.connect(&interrupt, state, irql)
    }

    /// The device that comes back from a sleep must be the one that went.
    fn power_up(&self, irql: &mut Irql<Passive>) -> Result<()> {
        if self.identify()? != self.identification() {
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

    fn hold(&self, irql: &mut Irql<Passive>) {
        self.liveness.hold(irql);
        self.raise.hold(irql);
        self.compute.hold_and_drain(irql);
        self.transfer.hold_and_drain(irql);
    }

    /// The interrupt stays connected while the device sleeps: its line is shared, and the ISR looks at no register. What the DMA engine does for
    /// nobody would interrupt still, and nobody would take that back: so it is waited for.
    fn power_down(&self, _to: DevicePowerState, irql: &mut Irql<Passive>) {
        self.wait_for_dma(irql);
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

/// How long a DMA command may take that nobody waits for, beside the 100 milliseconds that it should.
const DMA_LOOKS: usize = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

impl EduDevice {
    /// Waits for the end of a DMA command that runs for nobody; what the engine does then. There is no register without power or resources.
    fn wait_for_dma(&self, irql: &mut Irql<Passive>) -> Option<Activity> {
        let look = || self.registers.with(|registers| registers.dma_activity());
        for _ in 0..DMA_LOOKS {
            match look() {
                Some(Activity::Busy) => sleep(BETWEEN_LOOKS, irql),
                other => return other,
            }
        }
        look()
    }

    /// What the identification register reads.
    fn identify(&self) -> Result<u32> {
        self.registers
            .with(|registers| registers.identification())
            .ok_or(Error::INVALID_DEVICE_STATE)?
    }

    /// What the identification register read when the device was started.
    pub fn identification(&self) -> u32 {
        self.identification.load(Ordering::Relaxed)
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
}
