//! The queue itself: who waits for what. IRQL: at most DISPATCH.

use edu::{
    arrivals::Arrival,
    ioctl::{QueueStatistics, WaitInput, WaitOutput},
    registers::InterruptStatus,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, FileObject, Irp, Irql, Status,
    irql::{NoLockHeld, Passive},
};

use super::custom_dpc::DoorbellDpc;
use crate::{device::EduDevice, statistics::QueueCounters};

/// Requests that pend until one of the interrupt causes they name arrives. All whose time has come are completed, in the order they came.
#[pin_data]
pub struct DoorbellQueue {
    #[pin]
    waiting: CancelSafeQueue,
    #[pin]
    dpc: CustomDpc<DoorbellDpc>,
    pub counters: QueueCounters,
}

impl DoorbellQueue {
    /// An empty queue.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Status> {
        try_pin_init!(Self {
            waiting <- CancelSafeQueue::new(device),
            dpc <- CustomDpc::new(device),
            counters: QueueCounters::default(),
        }? Status)
    }

    /// Lets a request wait for interrupts that come after it.
    pub fn submit<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        let mask = match irp.read_input() {
            Ok(WaitInput { mask }) => mask,
            Err(status) => return irp.complete(status, irql),
        };
        let since = device.arrivals(irql).sequence();
        irp.set_note([u64::from(mask), since]);
        let pending = self.waiting.insert(irp, irql);
        // An interrupt may have come since the look at the number, and its DPC have run before the request was in the queue.
        if device.arrivals(irql).sequence() != since {
            self.complete_arrived(device, irql);
        }
        pending
    }

    /// Completes every request for which something has arrived.
    pub fn complete_arrived<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) {
        let arrivals = device.arrivals(irql);
        let arrived = |[mask, since]: [u64; 2]| {
            let mask = u32::try_from(mask).unwrap_or_default();
            arrivals.since(InterruptStatus::from_bits_retain(mask), since)
        };
        while self.waiting.remove_next_if(
            irql,
            |irp| arrived(irp.note()).is_some(),
            |irp, irql| self.complete(irp, arrived, irql),
        ) {}
    }

    /// Queues the CustomDpc. Any IRQL. That it is queued already loses nothing: it has not looked yet.
    pub fn queue_dpc(&self) {
        if !self.dpc.queue() {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Completes every request, those that still come included, with `status`: the device is gone.
    pub fn close(&self, status: Status, irql: &mut Irql<Passive>) {
        self.waiting.close(status, irql);
    }

    /// Cancels the requests that were made through `file`.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        self.waiting.cancel_all_of(file, irql);
    }

    /// What the queue has counted.
    pub fn statistics(&self) -> QueueStatistics {
        self.counters.read(&[self.waiting.counts()])
    }

    /// Counts from 0 again.
    pub fn reset_statistics(&self) {
        self.counters.reset();
        self.waiting.reset_counts();
    }

    fn complete<'i, L: NoLockHeld>(
        &self,
        mut irp: Irp<'i>,
        arrived: impl Fn([u64; 2]) -> Option<Arrival>,
        irql: &mut Irql<L>,
    ) -> Disposed<'i> {
        let written = match arrived(irp.note()) {
            Some(arrival) => irp.write_output(&WaitOutput {
                causes: arrival.causes.bits(),
                reserved: 0,
                sequence: arrival.sequence,
                interrupt_time: arrival.time,
            }),
            None => Err(Status::DRIVER_INTERNAL_ERROR),
        };
        let status = match written {
            Ok(()) => Status::SUCCESS,
            Err(status) => status,
        };
        self.counters.count_end(status);
        irp.complete(status, irql)
    }
}
