//! Allocation is explicit: whoever allocates shows at what IRQL.
#![no_std]

use wdm::{Irql, PoolBox, Result, irql::Passive};

pub fn allocate(irql: &mut Irql<Passive>) -> Result<PoolBox<u64>> {
    let _ = &irql;
    PoolBox::new(7) //~ E0061
}
