//! What is passed down from a queue is looked at in another process: somebody vouches that no part of it is taken for an address.
#![no_std]

use wdm::AnyThreadRequest;

pub enum ScsiPassThroughDirect {}

impl AnyThreadRequest for ScsiPassThroughDirect { //~ E0200
    const CODE: u32 = 0x0004_D014;
}
