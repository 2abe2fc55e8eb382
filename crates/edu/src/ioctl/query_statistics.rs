//! `IOCTL_EDU_QUERY_STATISTICS`: what has the driver done so far?

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Access, ControlCode, Function, Method, Request};

/// Method: buffered, for 392 bytes of answer.
///
/// Access: read. It tells what the driver has counted, and changes nothing.
pub const IOCTL_EDU_QUERY_STATISTICS: ControlCode =
    Function::QueryStatistics.control_code(Method::Buffered, Access::READ);

/// The request of [`IOCTL_EDU_QUERY_STATISTICS`].
#[derive(Clone, Copy, Debug)]
pub struct QueryStatistics;

impl Request for QueryStatistics {
    const CODE: ControlCode = IOCTL_EDU_QUERY_STATISTICS;
    type Input = ();
    type Output = Statistics;
}

/// The answer to [`IOCTL_EDU_QUERY_STATISTICS`]: counters of one device, from when the driver was loaded for it or from the last
/// [`ResetStatistics`](super::ResetStatistics).
///
/// Each counter is read by itself, so sums need not agree while the device is in use. But a request is counted before it is completed:
/// whoever has waited for one finds it counted. At 2⁶⁴ a counter goes on from 0.
///
/// What later versions count follows at the end, under a higher [`ABI_VERSION`](super::ABI_VERSION).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Statistics {
    /// Calls of the ISR that found the device interrupting: one register read, one write each.
    pub interrupts_claimed: u64,
    /// Calls of the ISR that found nothing of this device's: the line is shared, and a message may come after its cause is gone.
    pub interrupts_not_ours: u64,
    /// Computations that the device was told to start.
    pub factorials_started: u64,
    /// Runs of the compute queue's DPC that found no computation finished: an interrupt that anybody can raise, or one that came late.
    pub factorial_interrupts_spurious: u64,
    /// `IOCTL_EDU_RAISE_INTERRUPT`, and the DPC for its ISR.
    pub raise: QueueStatistics,
    /// `IOCTL_EDU_FACTORIAL`, and its CustomDpc.
    pub compute: QueueStatistics,
    /// `ReadFile`, `WriteFile` and `IOCTL_EDU_DMA_ECHO`, and their CustomDpc. All 0 in a driver that does not serve them.
    pub transfer: QueueStatistics,
    /// `IOCTL_EDU_WAIT_INTERRUPT`, and its CustomDpc.
    pub doorbell: QueueStatistics,
    /// The watchdog of the raise queue. Since version 2 of the ABI, as those that follow.
    pub raise_watchdog: WatchdogStatistics,
    /// The watchdog of the compute queue.
    pub compute_watchdog: WatchdogStatistics,
    /// The watchdog of the transfer queue.
    pub transfer_watchdog: WatchdogStatistics,
    /// How long interrupts waited for the raise queue's DPC. Since version 3 of the ABI, as those that follow.
    pub raise_latency: LatencyStatistics,
    /// How long they waited for the compute queue's.
    pub compute_latency: LatencyStatistics,
    /// How long they waited for the transfer queue's.
    pub transfer_latency: LatencyStatistics,
    /// How long they waited for the doorbell queue's.
    pub doorbell_latency: LatencyStatistics,
}

/// How long it took from an interrupt to the DPC that its ISR queued, in units of 100 nanoseconds. Where one run stood for several interrupts, from
/// the first of them.
///
/// `sum / count` is the mean. The four are read one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LatencyStatistics {
    /// The last one.
    pub last: u64,
    /// The longest.
    pub maximum: u64,
    /// All together.
    pub sum: u64,
    /// How many there were: runs of the DPC for an interrupt.
    pub count: u64,
}

/// What the watchdog of a queue has seen. It looks at the device when that has had the time `TimeoutMs` for a piece of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WatchdogStatistics {
    /// Times that a piece was not finished in time.
    pub timeouts: u64,
    /// Times that a piece was begun again, because the device was idle and its interrupt had not come.
    pub retries: u64,
    /// Times that the device finished a piece after its request had been given up.
    pub late: u64,
}

/// Counters of one queue. Every request that got into the queue ends in exactly one of `completed`, `cancelled` and `failed`; those that
/// were refused before are in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct QueueStatistics {
    /// Runs of the queue's DPC.
    pub dpcs_run: u64,
    /// Times that the ISR wanted the DPC while it was queued already (`KeInsertQueueDpc` returned FALSE): one run served several
    /// interrupts.
    pub dpcs_coalesced: u64,
    /// Requests that ended with success.
    pub completed: u64,
    /// Requests that were cancelled, one by one or because their handle was closed.
    pub cancelled: u64,
    /// Requests that ended in any other way.
    pub failed: u64,
}

const _: () = assert!(size_of::<QueueStatistics>() == 40 && size_of::<Statistics>() == 392);
const _: () = assert!(size_of::<WatchdogStatistics>() == 24 && size_of::<LatencyStatistics>() == 32);

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::Statistics;

    /// Counters may be added at the end, never moved.
    #[test]
    fn queues_lie_where_they_always_lay() {
        let offsets = [
            offset_of!(Statistics, raise),
            offset_of!(Statistics, compute),
            offset_of!(Statistics, transfer),
            offset_of!(Statistics, doorbell),
            offset_of!(Statistics, raise_watchdog),
            offset_of!(Statistics, raise_latency),
            offset_of!(Statistics, doorbell_latency),
        ];
        assert_eq!(offsets, [32, 72, 112, 152, 192, 264, 360]);
    }
}
