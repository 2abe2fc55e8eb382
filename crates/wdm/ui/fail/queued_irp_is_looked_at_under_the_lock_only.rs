//! An IRP in a queue is looked at while the queue is locked: after that it may be gone.
#![no_std]

use wdm::{Irql, StartIo, StartIoQueue, irql::Dispatch};

pub fn look<S: StartIo>(queue: &StartIoQueue<S>, irql: &mut Irql<Dispatch>) {
    let _ = queue.with_current(irql, |irp, _, _| irp); //~ ERROR: lifetime may not live long enough
    //~^ ERROR: lifetime may not live long enough
}
