//! What a lower driver is sent by the kernel it trusts: somebody vouches that no part of it is taken for an address.
#![no_std]

use wdm::LowerRequest;

pub enum ScsiPassThroughDirect {}

impl LowerRequest for ScsiPassThroughDirect { //~ E0200
    const CODE: u32 = 0x0004_D014;
    type Input = [u8; 56];
    type Output = [u8; 56];
}
