//@ check-pass
//! A spin lock is taken at DISPATCH_LEVEL or below: an ISR on the processor that holds it would wait for ever.
#![no_std]

use wdm::{
    Irql, SpinLock,
    irql::{Dirql, Dispatch},
};

pub fn count(lock: &SpinLock<u32>, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) {
    lock.with(dispatch, |_, count| *count += 1);
}
