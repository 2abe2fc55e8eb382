//! Freeing pool memory gives it up.
#![no_std]

use wdm::{Irql, PoolBox, irql::Passive};

pub fn free(memory: PoolBox<u64>, irql: &mut Irql<Passive>) -> u64 {
    let value = memory.free(irql);
    let _ = memory.free(irql); //~ E0382
    value
}
