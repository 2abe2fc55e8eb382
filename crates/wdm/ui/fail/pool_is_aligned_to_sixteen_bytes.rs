//@ error-in-other-file: pool memory is aligned to 16 bytes
//@ error-in-other-file: erroneous constant encountered
//! Pool memory is aligned to 16 bytes: a value that asks for more is an error of the driver's compilation.
#![no_std]

use wdm::{Irql, PoolBox, Result, irql::Passive};

/// Asks for what pool has.
#[repr(align(16))]
pub struct Aligned(pub u64);

/// Asks for more.
#[repr(align(32))]
pub struct OverAligned(pub u64);

pub fn allocate(irql: &mut Irql<Passive>) -> Result<u64> {
    let memory = PoolBox::new(OverAligned(7), irql)?; //~ NOTE: encountered while instantiating
    Ok(memory.free(irql).0)
}
