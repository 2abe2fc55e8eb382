//@ check-pass
//! An IRP does not get into a locked section: dropped there it would be completed under the lock.
#![no_std]

use wdm::{Disposed, Irp, Irql, SpinLock, irql::Dispatch};

pub fn park<'i>(lock: &SpinLock<u32>, irp: Irp<'i>, irql: &mut Irql<Dispatch>) -> Disposed<'i> {
    lock.with(irql, |_, value| *value += 1);
    //
    //
    irp.complete(Ok(()), irql)
}
