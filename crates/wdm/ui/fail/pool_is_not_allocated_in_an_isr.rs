//! Pool memory is allocated at DISPATCH_LEVEL or below.
#![no_std]

use wdm::{
    Irql, PoolBox, Result,
    irql::{Dirql, Dispatch},
};

pub fn allocate(dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) -> Result<PoolBox<u64>> {
    PoolBox::new(7, dirql) //~ E0277
}
