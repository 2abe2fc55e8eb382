//! A reference to what can be taken away ends with the closure that it was lent to.
#![no_std]

use wdm::{MmioRegion, Revocable};

pub fn read(registers: &Revocable<MmioRegion<0x100>>) {
    let _ = registers.with(|registers| registers); //~ ERROR: lifetime may not live long enough
}
