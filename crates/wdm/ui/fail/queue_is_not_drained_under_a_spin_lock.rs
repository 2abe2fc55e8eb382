//! Draining a queue completes IRPs, which is not done under a spin lock.
#![no_std]

use wdm::{CancelSafeQueue, Error, Event, Irql, SpinLock, irql::Dispatch};

pub fn deferred(queue: &CancelSafeQueue, event: &Event, lock: &SpinLock<u32>, irql: &mut Irql<Dispatch>) {
    lock.with(irql, |held, _| {
        queue.drain(Error::CANCELLED, held); //~ E0277
    });
}
