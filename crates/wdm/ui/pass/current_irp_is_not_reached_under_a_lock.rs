//@ check-pass
//! The current IRP is reached by the cancel spin lock, which comes before every lock of a driver's own.
#![no_std]

use wdm::{
    Irql, StartIo, StartIoQueue,
    irql::{Dispatch, SpinLockHeld},
};

pub fn look<S: StartIo>(queue: &StartIoQueue<S>, held: &mut Irql<SpinLockHeld>, free: &mut Irql<Dispatch>) {
    let _ = (&held, &free);
    queue.with(free, |_, _| ());
}
