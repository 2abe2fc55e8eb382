//@ check-pass
//! What is done with an IRP from a queue is said of that IRP: the disposition of the one at hand is none.
#![no_std]

use wdm::{CancelSafeQueue, Disposed, Irp, Irql, Status, irql::UpToDispatch};

pub fn dispatch<'i>(queue: &CancelSafeQueue, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Option<Disposed<'i>> {
    let mut at_hand = Some(irp);
    let mut disposed = None;
    queue.remove_next(irql, |taken, irql| {
        disposed = at_hand.take().map(|irp| irp.complete(Status::SUCCESS, irql));
        let _ = &taken;
        taken.complete(Status::SUCCESS, irql)
    });
    disposed
}
