//@ check-pass
//! A timer is set at DISPATCH_LEVEL or below: an ISR queues a DPC for that.
#![no_std]

use core::time::Duration;

use wdm::{
    DpcRoutine, Irql, Timer,
    irql::{Dirql, Dispatch},
};

pub fn set<R: DpcRoutine>(timer: &Timer<R>, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) {
    let _ = (&dirql, &dispatch);
    let _ = timer.set(Duration::from_millis(1), dispatch);
}
