//! The driver does not know when the memory may go: the safe layer frees it, when the device cannot write to it any more.
#![no_std]

use wdm::{CommonBuffer, Irql, LogicalAddress, irql::Passive};

pub fn address(buffer: &CommonBuffer, irql: &mut Irql<Passive>) -> Option<LogicalAddress> {
    buffer.free(irql); //~ E0599
    buffer.logical_address()
}
