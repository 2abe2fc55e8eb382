//@ check-pass
//! Unmapping a region of registers gives it up.
#![no_std]

use wdm::{Irql, MmioRegion, irql::Passive};

pub fn unmap(registers: MmioRegion<0x100>, irql: &mut Irql<Passive>) -> u32 {
    let status = registers.read32::<0x20>();
    registers.unmap(irql);
    status
}
