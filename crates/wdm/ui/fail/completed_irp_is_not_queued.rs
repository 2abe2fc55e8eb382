//! Completing an IRP gives it up: it cannot be put into a queue afterwards.
#![no_std]

use wdm::{CancelSafeQueue, Disposed, Irp, Irql, irql::UpToDispatch};

pub fn dispatch<'i>(queue: &CancelSafeQueue, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let disposed = irp.complete(Ok(()), irql);
    let _ = queue.insert(irp, irql); //~ E0382
    disposed
}
