//@ check-pass
//! A lock's data holds no IRP: taken out of it, or overwritten, it would be completed under the lock.
#![no_std]

use wdm::{Irp, Irql, SpinLock, irql::Dispatch};

pub fn overwrite(lock: &SpinLock<Option<Irp<'_>>>, other: &SpinLock<Option<u32>>, irql: &mut Irql<Dispatch>) {
    let _ = (lock, other);
    other.with(irql, |_, slot| *slot = None);
    //
    //
}
