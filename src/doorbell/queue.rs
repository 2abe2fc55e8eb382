//! The queue itself: who waits for what. IRQL: at most DISPATCH.

use core::sync::atomic::{AtomicBool, Ordering};

use edu::{
    arrivals::{Arrival, Arrivals},
    ioctl::{QueueStatistics, WaitInput, WaitOutput},
    registers::InterruptStatus,
    stamp::InterruptStamp,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, Error, FileObject, Irp, Irql, QueuedIrp,
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
    /// Somebody may be waiting: set after a request was put into the queue, cleared before it is looked through for nothing.
    is_wanted: AtomicBool,
    pub counters: QueueCounters,
}

impl DoorbellQueue {
    /// An empty queue.
    pub fn new(device: &DeviceInit<'_, EduDevice>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            waiting <- CancelSafeQueue::new(device),
            dpc <- CustomDpc::new(device),
            is_wanted: AtomicBool::new(false),
            counters: QueueCounters::default(),
        }? Error)
    }

    /// Lets a request wait for interrupts that come after it.
    pub fn submit<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        let mask = match irp.read_input() {
            Ok(WaitInput { mask }) => mask,
            Err(error) => return irp.complete(Err(error), irql),
        };
        let since = device.arrivals(irql).sequence();
        irp.set_note([u64::from(mask), since]);
        let pending = self.waiting.insert(irp, irql);
        self.is_wanted.store(true, Ordering::SeqCst);
        // An interrupt may have come since the look at the number, and have found nobody waiting, or its DPC have run before the request was in
        // the queue. The look takes the interrupt spin lock: an interrupt that is not seen finds the request wanted.
        if device.arrivals(irql).sequence() != since {
            self.complete_arrived(device, irql);
        }
        pending
    }

    /// Completes every request for which something has arrived.
    pub fn complete_arrived<L: NoLockHeld>(&self, device: &EduDevice, irql: &mut Irql<L>) {
        loop {
            self.is_wanted.store(false, Ordering::SeqCst);
            let arrivals = device.arrivals(irql);
            if !self.complete_those(&arrivals, irql) {
                break;
            }
            self.is_wanted.store(true, Ordering::SeqCst);
            // What came meanwhile has found nobody waiting.
            if device.arrivals(irql).sequence() == arrivals.sequence() {
                break;
            }
        }
    }

    /// Completes every request for which something is among these; whether there are others.
    fn complete_those<L: NoLockHeld>(&self, arrivals: &Arrivals, irql: &mut Irql<L>) -> bool {
        let arrived = |[mask, since]: [u64; 2]| {
            let mask = u32::try_from(mask).unwrap_or_default();
            arrivals.since(InterruptStatus::from_bits_retain(mask), since)
        };
        let mut others = false;
        let mut has_arrived = |irp: &QueuedIrp<'_>| {
            let has_arrived = arrived(irp.note()).is_some();
            others |= !has_arrived;
            has_arrived
        };
        self.waiting
            .remove_all_if(irql, &mut has_arrived, |irp, irql| self.complete(irp, arrived, irql));
        others
    }

    /// Queues the CustomDpc, if somebody may be waiting. From the ISR, after it has noted what came. That it is queued already loses nothing: it has
    /// not looked yet.
    pub fn queue_dpc(&self, stamp: InterruptStamp) {
        if self.is_wanted.load(Ordering::SeqCst) && !self.dpc.queue(stamp, ()) {
            self.counters.dpcs_coalesced.count();
        }
    }

    /// Completes every request, those that still come included, with `error`: the device is gone.
    pub fn close(&self, error: Error, irql: &mut Irql<Passive>) {
        self.waiting.close(error, irql);
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
            None => Err(Error::DRIVER_INTERNAL_ERROR),
        };
        self.counters.count_end(written);
        irp.complete(written, irql)
    }
}
