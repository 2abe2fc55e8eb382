//! The current IRP of a queue is lent while the queue is locked: it is ended by the queue, and not completed by who looks at it.
#![no_std]

use wdm::{CancelSafeQueue, Irql, irql::Dispatch};

pub fn finish(queue: &CancelSafeQueue, irql: &mut Irql<Dispatch>) {
    queue.with(irql, |queue, irql| {
        queue.with_current(|irp, ()| irp.complete(Ok(()), irql)); //~ E0277
        //~^ E0507
    });
}
