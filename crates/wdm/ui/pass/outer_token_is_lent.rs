//@ check-pass
//! While a callback runs, its caller's token is lent: the callback has the one that it was given, and no other.
#![no_std]

use wdm::{CancelSafeQueue, Irql, irql::Dispatch};

pub fn deferred(queue: &CancelSafeQueue, outer: &mut Irql<Dispatch>) {
    queue.remove_next(outer, |irp, inner| irp.complete(Ok(()), inner));
    //
}
