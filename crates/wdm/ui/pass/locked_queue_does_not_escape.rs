//@ check-pass
//! What is reached under a queue's lock is not reached after it was released.
#![no_std]

use wdm::{CancelSafeQueue, Irql, irql::Dispatch};

pub fn keep(queue: &CancelSafeQueue<u32>, irql: &mut Irql<Dispatch>) {
    let mut kept = None;
    queue.with(irql, |queue, _irql| kept = Some(*queue.state));
    drop(kept);
}
