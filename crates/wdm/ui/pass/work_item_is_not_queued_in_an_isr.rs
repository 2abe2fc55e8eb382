//@ check-pass
//! A work item is queued at DISPATCH_LEVEL or below: an ISR leaves that to its DPC.
#![no_std]

use wdm::{
    Irql, WorkItem, WorkRoutine,
    irql::{Dirql, Dispatch},
};

pub fn queue<R: WorkRoutine>(work: &WorkItem<R>, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) {
    work.queue(dispatch);
}
