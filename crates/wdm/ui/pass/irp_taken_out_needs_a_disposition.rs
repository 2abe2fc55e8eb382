//@ check-pass
//! Whoever takes an IRP out of a queue says what became of it.
#![no_std]

use wdm::{CancelSafeQueue, Irql, irql::Dispatch};

pub fn next(queue: &CancelSafeQueue, irql: &mut Irql<Dispatch>) -> bool {
    queue.remove_next(irql, |irp, irql| irp.complete(Ok(()), irql))
}
