//! The current IRP of a queue is lent while the queue is locked: it stays the queue's.
#![no_std]

use wdm::{CancelSafeQueue, Irp, Irql, irql::Dispatch};

pub fn take(queue: &CancelSafeQueue, irql: &mut Irql<Dispatch>) {
    queue.with(irql, |queue, _irql| {
        queue.with_current(|irp, ()| drop::<Irp<'_>>(*irp)); //~ E0507
    });
}
