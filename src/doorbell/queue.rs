//! The queue itself: who waits for what. IRQL: at most DISPATCH.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use edu::{
    ioctl::{QueueStatistics, WaitInput, WaitOutput},
    registers::InterruptStatus,
    stamp::InterruptStamp,
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    CancelSafeQueue, CustomDpc, DeviceInit, Disposed, Error, FileObject, Irp, Irql, LockedQueue,
    irql::{Dispatch, NoLockHeld, Passive},
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
    /// Somebody may be waiting. Written under the queue's lock: set when a request is put in, cleared when the queue was looked through and nobody waits.
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
    #[inline(never)]
    pub fn submit<'i, L: NoLockHeld>(&self, mut irp: Irp<'i>, device: &EduDevice, irql: &mut Irql<L>) -> Disposed<'i> {
        let mask = match irp.read_input() {
            Ok(WaitInput { mask }) => mask,
            Err(error) => return irp.complete(Err(error), irql),
        };
        let since = device.arrivals.sequence();
        irp.set_note([u64::from(mask), since]);
        self.waiting.insert_with(irp, irql, |queue, _irql| {
            self.is_wanted.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            // An interrupt may have come since the look at the number, and have found nobody waiting, or its DPC have run before the request was in
            // the queue. The ISR notes an interrupt before it looks whether somebody waits: one that is not seen here finds the request wanted.
            if device.arrivals.sequence() != since {
                self.end_arrived(queue, device);
            }
        })
    }

    /// What the CustomDpc does: completes every request for which something has arrived.
    pub fn device_interrupted(&self, device: &EduDevice, stamp: InterruptStamp, irql: &mut Irql<Dispatch>) {
        self.counters.dpc_runs(stamp);
        self.waiting.with(irql, |queue, _irql| self.end_arrived(queue, device));
    }

    /// Ends every request for which something has arrived.
    fn end_arrived(&self, queue: &mut LockedQueue<'_, ()>, device: &EduDevice) {
        let arrivals = device.arrivals.snapshot();
        let mut others = false;
        queue.end_if(|irp, ()| {
            let [mask, since] = irp.note();
            let mask = InterruptStatus::from_bits_retain(u32::try_from(mask).unwrap_or_default());
            let arrival = arrivals.since(mask, since);
            others |= arrival.is_none();
            let arrival = arrival?;
            Some(irp.write_output(&WaitOutput {
                causes: arrival.causes.bits(),
                reserved: 0,
                sequence: arrival.sequence,
                interrupt_time: arrival.time,
            }))
        });
        // What has come since the snapshot has found somebody waiting, and queued the DPC.
        self.is_wanted.store(others, Ordering::Relaxed);
    }

    /// Queues the CustomDpc, if somebody may be waiting. From the ISR, after it has noted what came. That it is queued already loses nothing: it has
    /// not looked yet.
    pub fn queue_dpc(&self, stamp: InterruptStamp) {
        if self.is_wanted.load(Ordering::Relaxed) && !self.dpc.queue(stamp, ()) {
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
        self.counters.read(self.waiting.counts())
    }

    /// Counts from 0 again.
    pub fn reset_statistics(&self) {
        self.counters.reset();
        self.waiting.reset_counts();
    }
}
