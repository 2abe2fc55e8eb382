//! An IRP that was taken out for a while is put back, or completed: it is not dropped.
#![no_std]

use wdm::{CancelSafeQueue, Irql, irql::Dispatch};

pub fn next(queue: &CancelSafeQueue, irql: &mut Irql<Dispatch>) -> bool {
    queue.take_next(irql, |irp, irql| drop((irp, irql))) //~ E0308
}
