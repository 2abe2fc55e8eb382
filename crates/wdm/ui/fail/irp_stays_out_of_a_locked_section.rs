//! An IRP does not get into a locked section: dropped there it would be completed under the lock.
#![no_std]

use wdm::{Disposed, Irp, Irql, SpinLock, Status, irql::Dispatch};

pub fn park<'i>(lock: &SpinLock<u32>, irp: Irp<'i>, irql: &mut Irql<Dispatch>) -> Option<Disposed<'i>> {
    let mut irp = Some(irp);
    lock.with(irql, |_, value| {
        drop(irp.take()); //~ E0277
    });
    irp.map(|irp| irp.complete(Status::SUCCESS, irql))
}
