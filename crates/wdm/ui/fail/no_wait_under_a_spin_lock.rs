//! Whoever holds a spin lock runs at DISPATCH_LEVEL, whatever the level was before: there is no waiting.
#![no_std]

use core::time::Duration;

use wdm::{Event, Irql, SpinLock, irql::Passive};

pub fn wait(event: &Event, lock: &SpinLock<Duration>, irql: &mut Irql<Passive>) {
    lock.with(irql, |held, time| {
        event.wait(*time, held); //~ E0308
    });
}
