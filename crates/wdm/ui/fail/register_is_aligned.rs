//@ error-in-other-file: the register is not aligned to its width
//@ error-in-other-file: erroneous constant encountered
//@ error-in-other-file: inside `wdm::mmio::check
//! A register that is not aligned to its width is an error of the driver's compilation.
#![no_std]

use wdm::MmioRegion;

pub fn write(registers: &MmioRegion<0x100>) {
    registers.write32::<0x22>(1); //~ NOTE: encountered while instantiating
}
