//@ check-pass
//! Pool memory is freed at DISPATCH_LEVEL or below.
#![no_std]

use wdm::{
    Irql, PoolBox,
    irql::{Dirql, Dispatch},
};

pub fn free(memory: PoolBox<u64>, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) -> u64 {
    memory.free(dispatch)
}
