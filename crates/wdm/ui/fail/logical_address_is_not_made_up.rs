//! Which address a device finds memory by is the system's to say: a physical one, or a guess, does not do.
#![no_std]

use wdm::{CommonBuffer, LogicalAddress};

pub fn address(buffer: &CommonBuffer, physical: u64) -> Option<LogicalAddress> {
    Some(LogicalAddress(physical)) //~ E0423
}
