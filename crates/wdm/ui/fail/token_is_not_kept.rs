//! A token is lent for the time of a callback: it cannot be kept for later, when the IRQL is another.
#![no_std]

use wdm::{CancelSafeQueue, Irql, irql::Dispatch};

pub fn deferred(queue: &CancelSafeQueue, irql: &mut Irql<Dispatch>) {
    let mut kept = None;
    queue.remove_next(irql, |irp, lent| {
        let disposed = irp.complete(Ok(()), lent);
        kept = Some(lent); //~ E0521
        disposed
    });
    let _ = kept;
}
