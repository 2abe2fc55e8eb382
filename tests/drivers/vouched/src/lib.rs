//! The requests that test drivers send to the drivers below. Those drivers have no unsafe code: what must be vouched for is vouched for here.
#![no_std]

#[path = "../../uses-lower-after-remove/src/protocol.rs"]
#[expect(dead_code, reason = "the other requests are not sent by drivers")]
mod after_remove;
#[path = "../../bare-storey/src/protocol.rs"]
#[expect(dead_code, reason = "as above")]
mod bare;
#[path = "../../upper-storey/src/protocol.rs"]
#[expect(dead_code, reason = "as above")]
mod protocol;

use wdm::{AnyThreadRequest, LowerRequest};

/// Asks the lower storey for its answer to a number.
pub enum Ask {}

// SAFETY: the lower storey computes with the number: it is no address, and no handle.
unsafe impl LowerRequest for Ask {
    const CODE: u32 = protocol::ASK;
    type Input = u32;
    type Output = u32;
}

/// A request that nobody knows.
pub enum Unknown {}

// SAFETY: the request has no input.
unsafe impl LowerRequest for Unknown {
    const CODE: u32 = after_remove::UNKNOWN;
    type Input = ();
    type Output = ();
}

/// Has the device below keep the request for a while.
pub enum KeepForLater {}

// SAFETY: the request has no input.
unsafe impl LowerRequest for KeepForLater {
    const CODE: u32 = after_remove::KEEP;
    type Input = ();
    type Output = ();
}

/// Asks the lowest driver what it has seen, in a request that only drivers send.
pub enum Seen {}

// SAFETY: the request has no input.
unsafe impl LowerRequest for Seen {
    const CODE: u32 = bare::SEEN;
    const INTERNAL: bool = true;
    type Input = ();
    type Output = [u32; 4];
}

/// A request that the driver above passes down later.
pub enum Later {}

// SAFETY: the bare storey does not look at its input.
unsafe impl AnyThreadRequest for Later {
    const CODE: u32 = bare::VOUCHED_LATER;
}

/// What the upper storey queues, and passes down to forget it.
pub enum QueuedAndForwarded {}

// SAFETY: the lower storey computes with the number that is the input.
unsafe impl AnyThreadRequest for QueuedAndForwarded {
    const CODE: u32 = protocol::QUEUE_AND_FORWARD;
}

/// What the upper storey queues, and passes down to hear of its completion.
pub enum QueuedAndContinued {}

// SAFETY: as above.
unsafe impl AnyThreadRequest for QueuedAndContinued {
    const CODE: u32 = protocol::QUEUE_AND_CONTINUE;
}

/// What the upper storey sends down twice.
pub enum SentTwice {}

// SAFETY: as above.
unsafe impl AnyThreadRequest for SentTwice {
    const CODE: u32 = protocol::SEND_TWICE;
}
