//! What `DeferredStartIo` defers: the documentation can be read in several ways, and the seed decides which one a machine follows.
//!
//! - `IoSetStartIoAttributes` says that any call of StartIo waits while the driver is inside the routine, and that after a call of
//!   `IoStartNextPacket` from within StartIo the routine is not called again until the current invocation completes.
//! - `IoStartNextPacket` recommends the attribute to those who call it from StartIo, and says that the next packet is not issued until the
//!   previous StartIo call returns. Which calls of StartIo came before a packet that another processor asks for, it does not say.
//! - `IoStartPacket` knows of no deferral: it queues the packet, or calls StartIo with it.
//!
//! All readings agree on this: with nobody inside StartIo, both routines return after StartIo ran, and a driver that asks for packet after
//! packet in StartIo does not use up the stack.

use crate::{kernel::stream, sched::Random};

/// Who calls StartIo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Caller {
    /// `IoStartPacket`, which has found the device idle.
    StartPacket,
    /// `IoStartNextPacket` or `IoStartNextPacketByKey`.
    StartNextPacket,
}

/// Which calls of StartIo wait for which others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Waiting {
    /// Each for all others: no two overlap.
    Every,
    /// Those that `IoStartNextPacket` makes, for all others. `IoStartPacket` calls at once, as its page says.
    NextPackets,
    /// Those that `IoStartNextPacket` makes, for one another: only they are counted. If StartIo was called by `IoStartPacket`, its first call
    /// of `IoStartNextPacket` calls it again, one level deeper.
    AmongNextPackets,
}

impl Waiting {
    /// Whether a call waits for those that [count](Self::counts).
    pub(super) fn waits(self, caller: Caller) -> bool {
        self == Self::Every || caller == Caller::StartNextPacket
    }

    /// Whether others wait for a call.
    pub(super) fn counts(self, caller: Caller) -> bool {
        self != Self::AmongNextPackets || caller == Caller::StartNextPacket
    }
}

/// What waits when a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Deferred {
    /// The packet stays in the queue.
    Packet,
    /// The packet becomes the current one at once; the call alone waits.
    Call,
}

/// A reading of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) struct Deferral {
    pub waiting: Waiting,
    pub deferred: Deferred,
}

impl Deferral {
    /// The reading that the machines with a seed follow.
    pub(in crate::io) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed, stream::START_IO);
        let waiting = [Waiting::Every, Waiting::NextPackets, Waiting::AmongNextPackets];
        let deferred = [Deferred::Packet, Deferred::Call];
        Self {
            waiting: waiting[random.index(waiting.len())],
            deferred: deferred[random.index(deferred.len())],
        }
    }
}
