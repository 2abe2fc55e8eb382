//@ check-pass
//! Only what ends the responsibility for an IRP makes its disposition.
#![no_std]

use wdm::{Disposed, Irp, Irql, Status, irql::UpToDispatch};

pub fn dispatch<'i>(irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    irp.complete(Status::SUCCESS.into_result(), irql)
}
