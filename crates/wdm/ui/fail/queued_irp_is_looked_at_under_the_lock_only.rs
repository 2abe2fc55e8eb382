//! An IRP in a queue is looked at while the queue is locked: after that it may be gone.
#![no_std]

use wdm::{Irql, StartIo, StartIoQueue, irql::Dispatch};

pub fn look<S: StartIo>(queue: &StartIoQueue<S>, irql: &mut Irql<Dispatch>) {
    let mut kept = None;
    queue.with(irql, |queue, _| kept = queue.current()); //~ ERROR: borrowed data escapes
    //~^ ERROR: cannot be sent between threads safely
    drop(kept);
}
