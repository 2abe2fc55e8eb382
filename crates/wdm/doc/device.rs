use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{CancelSafeQueue, CustomDpc, DeviceExtension, DeviceInit, DeviceMemory, DpcRoutine, Error, Event, Guid, Irql, Resources, Result, SpinLock, StopReason, irql::{Dispatch, Passive}};

/// What the driver keeps for one device.
#[pin_data]
pub struct Device {
    pub requests: SpinLock<u64>,
    #[pin]
    pub registers: DeviceMemory<0x100>,
    #[pin]
    pub queue: CancelSafeQueue,
    #[pin]
    pub dpc: CustomDpc<Finish>,
    #[pin]
    pub idle: Event,
}

impl DeviceExtension for Device {
    const INTERFACE: Option<Guid> = None;

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            requests: SpinLock::new(0),
            registers <- DeviceMemory::new(device),
            queue <- CancelSafeQueue::new(device),
            dpc <- CustomDpc::new(device),
            idle <- Event::new(device),
        }? Error)
    }

    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let memory = resources.memory(0).ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
        self.registers.map(&memory, irql)
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, irql: &mut Irql<Passive>) {
        self.queue.close(Error::DEVICE_REMOVED, irql);
    }
}

/// Finishes the oldest request.
pub enum Finish {}

impl DpcRoutine for Finish {
    type Device = Device;
    type SystemArgument1 = ();
    type SystemArgument2 = ();

    fn run(device: &Device, (): (), (): (), irql: &mut Irql<Dispatch>) {
        device
            .queue
            .remove_next(irql, |irp, irql| irp.complete(Ok(()), irql));
        device.idle.set(irql);
    }
}
