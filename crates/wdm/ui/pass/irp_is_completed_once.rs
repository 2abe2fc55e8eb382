//@ check-pass
//! Completing an IRP gives it up: it cannot be completed again.
#![no_std]

use wdm::{Disposed, Irp, Irql, Status, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let disposed = irp.complete(Status::SUCCESS, irql);
    let _ = irql.passive();
    disposed
}
