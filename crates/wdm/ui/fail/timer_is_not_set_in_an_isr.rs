//! A timer is set at DISPATCH_LEVEL or below: an ISR queues a DPC for that.
#![no_std]

use core::time::Duration;

use wdm::{
    Irql, Timer, TimerRoutine,
    irql::{Dirql, Dispatch},
};

pub fn set<R: TimerRoutine>(timer: &Timer<R>, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) {
    let _ = (&dirql, &dispatch);
    let _ = timer.set(Duration::from_millis(1), dirql); //~ E0277
}
