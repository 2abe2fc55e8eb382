//@ check-pass
//! A reference to what a spin lock protects ends with its release.
#![no_std]

use wdm::{Irql, SpinLock, irql::Dispatch};

pub fn deferred(lock: &SpinLock<u32>, irql: &mut Irql<Dispatch>) {
    let _ = lock.with(irql, |_, value| *value);
}
