//@ check-pass
//! Freeing pool memory gives it up.
#![no_std]

use wdm::{Irql, PoolBox, irql::Passive};

pub fn free(memory: PoolBox<u64>, irql: &mut Irql<Passive>) -> u64 {
    let value = memory.free(irql);
    let _ = &irql;
    value
}
