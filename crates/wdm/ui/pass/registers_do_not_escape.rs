//@ check-pass
//! Registers are lent while they may be touched: a reference to them does not leave the closure.
#![no_std]

use wdm::DeviceMemory;

pub fn read(memory: &DeviceMemory<0x100>) {
    let _ = memory.with(|registers| registers.read32::<0x20>());
}
