//! The requests that test drivers send to the drivers below. Those drivers have no unsafe code: what must be vouched for is vouched for here.
#![no_std]

#[path = "../../upper-storey/src/protocol.rs"]
#[expect(dead_code, reason = "the other requests are passed on, not sent")]
mod protocol;

use wdm::LowerRequest;

/// Asks the lower storey for its answer to a number.
pub enum Ask {}

// SAFETY: the lower storey computes with the number: it is no address, and no handle.
unsafe impl LowerRequest for Ask {
    const CODE: u32 = protocol::ASK;
    type Input = u32;
    type Output = u32;
}
