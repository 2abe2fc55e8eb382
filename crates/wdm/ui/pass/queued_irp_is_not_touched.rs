//@ check-pass
//! Putting an IRP into a queue gives it up: it may be cancelled, completed and freed before the call has returned.
#![no_std]

use wdm::{CancelSafeQueue, Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i>(queue: &CancelSafeQueue, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let disposed = queue.insert(irp, irql);
    queue.drain(wdm::Error::CANCELLED, irql);
    disposed
}
