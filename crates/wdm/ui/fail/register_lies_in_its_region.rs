//@ error-in-other-file: the register lies outside the mapped region
//@ error-in-other-file: erroneous constant encountered
//@ error-in-other-file: inside `wdm::mmio::check
//! A register that lies outside the mapped region is an error of the driver's compilation.
#![no_std]

use wdm::MmioRegion;

pub fn read(registers: &MmioRegion<0x100>) -> u32 {
    registers.read32::<0x100>() //~ NOTE: encountered while instantiating
}
